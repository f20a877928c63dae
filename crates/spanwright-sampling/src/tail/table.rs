//! A map by trace id that never grows and knows the order of its entries.

use super::id::{Hasher, TraceKey};

/// Entries by trace id, in a list from the oldest to the newest. Everything is allocated when it is made.
///
/// An open-addressed index of slot numbers (linear probing, deletion by shifting back, so that there are no graves), at most half
/// full, over slots that are linked in order.
#[derive(Debug)]
pub(super) struct TraceTable<V> {
    hasher: Hasher,
    /// Slot numbers, one up; 0 is nobody.
    index: Box<[u32]>,
    slots: Vec<Slot<V>>,
    /// The first of the slots that are free again, linked by `next`.
    free: u32,
    oldest: u32,
    newest: u32,
    len: usize,
}

#[derive(Debug)]
struct Slot<V> {
    id: u128,
    previous: u32,
    next: u32,
    value: V,
}

/// Where an entry is, until it is removed.
pub(super) type Place = u32;

const NONE: u32 = u32::MAX;

impl<V: Default> TraceTable<V> {
    pub(super) fn new(capacity: usize, hasher: Hasher) -> Self {
        Self {
            hasher,
            index: vec![0; Self::index_len(capacity)].into(),
            slots: Vec::with_capacity(capacity),
            free: NONE,
            oldest: NONE,
            newest: NONE,
            len: 0,
        }
    }

    /// The memory that a table of this capacity takes, without what its values point to.
    pub(super) fn bytes(capacity: usize) -> usize {
        Self::index_len(capacity) * size_of::<u32>() + capacity * size_of::<Slot<V>>()
    }

    fn index_len(capacity: usize) -> usize {
        (2 * capacity).next_power_of_two()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.slots.capacity()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, key: TraceKey) -> Option<Place> {
        let mut at = self.home(key);
        loop {
            let place = self.index[at].checked_sub(1)?;
            if self.slots[place as usize].id == key.id {
                return Some(place);
            }
            at = (at + 1) & (self.index.len() - 1);
        }
    }

    /// Adds an entry as the newest. Neither full nor with an entry for this key.
    pub(super) fn insert(&mut self, key: TraceKey, value: V) -> Place {
        debug_assert!(!self.is_full() && self.find(key).is_none());
        let slot = Slot {
            id: key.id,
            previous: NONE,
            next: NONE,
            value,
        };
        let place = match self.slots.get_mut(self.free as usize) {
            Some(free) => {
                let place = self.free;
                self.free = free.next;
                *free = slot;
                place
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let mut at = self.home(key);
        while self.index[at] != 0 {
            at = (at + 1) & (self.index.len() - 1);
        }
        self.index[at] = place + 1;
        self.link_newest(place);
        self.len += 1;
        place
    }

    pub(super) fn remove(&mut self, place: Place) -> V {
        self.unindex(place);
        self.unlink(place);
        let slot = &mut self.slots[place as usize];
        slot.next = self.free;
        self.free = place;
        self.len -= 1;
        std::mem::take(&mut slot.value)
    }

    pub(super) fn oldest(&self) -> Option<Place> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The one that came next.
    pub(super) fn after(&self, place: Place) -> Option<Place> {
        let next = self.slots[place as usize].next;
        (next != NONE).then_some(next)
    }

    /// Makes an entry the newest.
    pub(super) fn touch(&mut self, place: Place) {
        self.unlink(place);
        self.link_newest(place);
    }

    pub(super) fn key(&self, place: Place) -> TraceKey {
        self.hasher.key(self.slots[place as usize].id)
    }

    pub(super) fn get(&self, place: Place) -> &V {
        &self.slots[place as usize].value
    }

    pub(super) fn get_mut(&mut self, place: Place) -> &mut V {
        &mut self.slots[place as usize].value
    }

    fn home(&self, key: TraceKey) -> usize {
        key.hash as usize & (self.index.len() - 1)
    }

    /// Empties the place's cell of the index, and moves back those behind it that would not be found any more.
    fn unindex(&mut self, place: Place) {
        let mask = self.index.len() - 1;
        let mut hole = self.home(self.key(place));
        while self.index[hole] != place + 1 {
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(other) = self.index[at].checked_sub(1) else {
                break;
            };
            let home = self.home(self.key(other));
            // It may move if its home is not behind the hole, seen from where it is.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.index[hole] = other + 1;
                hole = at;
            }
        }
        self.index[hole] = 0;
    }

    fn link_newest(&mut self, place: Place) {
        let newest = self.newest;
        let slot = &mut self.slots[place as usize];
        (slot.previous, slot.next) = (newest, NONE);
        match self.slots.get_mut(newest as usize) {
            Some(before) => before.next = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: Place) {
        let Slot { previous, next, .. } = self.slots[place as usize];
        match self.slots.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.oldest = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(behind) => behind.previous = previous,
            None => self.newest = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a list that is searched from its beginning, with ids whose homes collide.
    #[test]
    fn it_is_a_map_in_order_of_age() {
        let mut random = fastrand::Rng::with_seed(7);
        for capacity in [1, 2, 7, 32] {
            let hasher = Hasher::new([1, 2]);
            let mut table = TraceTable::new(capacity, hasher);
            let mut model: Vec<(u128, u64)> = Vec::new();
            for step in 0..20_000_u64 {
                let id = random.u128(0..capacity as u128 * 2);
                let key = hasher.key(id);
                let known = model.iter().position(|(known, _)| *known == id);
                assert_eq!(table.find(key).is_some(), known.is_some());
                match (table.find(key), known) {
                    (Some(place), Some(index)) if random.bool() => {
                        assert_eq!(table.remove(place), model.remove(index).1);
                    }
                    (Some(place), Some(index)) => {
                        table.touch(place);
                        *table.get_mut(place) = step;
                        model.remove(index);
                        model.push((id, step));
                    }
                    _ if !table.is_full() => {
                        table.insert(key, step);
                        model.push((id, step));
                    }
                    _ => {}
                }
                assert_eq!(table.len(), model.len());
                let mut place = table.oldest();
                for (id, value) in &model {
                    let here = place.expect("as many as in the list");
                    assert_eq!((table.key(here).id, table.get(here)), (*id, value));
                    place = table.after(here);
                }
                assert_eq!(place, None);
            }
        }
    }
}

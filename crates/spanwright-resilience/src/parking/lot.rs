//! What is parked, and where everything else is.

use std::collections::VecDeque;

use spanwright_core::{Ledger, LossReason};

/// Batches in the order in which they came, bounded by their items, and the account of all that ever came.
#[derive(Debug)]
pub(crate) struct Lot<T> {
    batches: VecDeque<Vec<T>>,
    max_items: u64,
    ledger: Ledger,
    is_closed: bool,
}

/// What became of a batch that wanted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parked {
    In,
    /// There was room for so many of its items only; the last ones are lost.
    Cut(u64),
    Refused(LossReason),
}

impl<T> Lot<T> {
    pub(crate) fn new(max_items: u64) -> Self {
        Self {
            batches: VecDeque::new(),
            max_items,
            ledger: Ledger::default(),
            is_closed: false,
        }
    }

    /// Takes a batch in, as far as there is room: the newest are lost, as in the processor before it.
    pub(crate) fn push(&mut self, mut batch: Vec<T>) -> Parked {
        let items = batch.len() as u64;
        self.ledger.ended += items;
        if self.is_closed {
            self.ledger.lost.add(LossReason::AlreadyShutdown, items);
            return Parked::Refused(LossReason::AlreadyShutdown);
        }
        let room = self.max_items.saturating_sub(self.ledger.pending);
        let lost = items.saturating_sub(room);
        self.ledger.lost.add(LossReason::QueueFull, lost);
        if room == 0 && items > 0 {
            return Parked::Refused(LossReason::QueueFull);
        }
        batch.truncate((items - lost) as usize);
        self.ledger.pending += batch.len() as u64;
        if !batch.is_empty() {
            self.batches.push_back(batch);
        }
        if lost == 0 {
            Parked::In
        } else {
            Parked::Cut(items - lost)
        }
    }

    /// The oldest batch, to be sent. It stays pending until it is [settled](Self::settle) or [put back](Self::put_back).
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        self.batches.pop_front()
    }

    /// It could not be sent now: it is the oldest still.
    pub(crate) fn put_back(&mut self, batch: Vec<T>) {
        self.batches.push_front(batch);
    }

    /// So many items have arrived, or are lost.
    pub(crate) fn settle(&mut self, items: u64, lost: Option<LossReason>) {
        self.ledger.pending -= items;
        match lost {
            None => self.ledger.exported += items,
            Some(reason) => self.ledger.lost.add(reason, items),
        }
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whatever is here, or on its way, is lost.
    pub(crate) fn give_up(&mut self) {
        self.batches.clear();
        self.settle(self.ledger.pending, Some(LossReason::ShutdownTimeout));
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_exact_at_every_step() {
        let mut lot = Lot::new(5);
        let law = |lot: &Lot<u32>| lot.ledger().check().expect("adds up");
        assert_eq!(lot.push(vec![1, 2, 3]), Parked::In);
        assert_eq!(lot.push(vec![4, 5, 6]), Parked::Cut(2));
        assert_eq!(lot.push(vec![7]), Parked::Refused(LossReason::QueueFull));
        assert_eq!(lot.push(vec![]), Parked::In);
        law(&lot);
        let oldest = lot.take().expect("two");
        law(&lot);
        lot.put_back(oldest);
        assert_eq!(lot.take().expect("two"), [1, 2, 3]);
        lot.settle(3, None);
        law(&lot);
        assert_eq!(lot.take().expect("one"), [4, 5]);
        lot.settle(2, Some(LossReason::Permanent));
        assert_eq!(lot.push(vec![8]), Parked::In);
        lot.close();
        assert_eq!(lot.push(vec![9]), Parked::Refused(LossReason::AlreadyShutdown));
        lot.give_up();
        law(&lot);
        let Ledger {
            ended,
            exported,
            lost,
            pending,
            ..
        } = lot.ledger();
        assert_eq!((ended, exported, lost.total(), pending), (9, 3, 6, 0));
        assert_eq!(lost[LossReason::ShutdownTimeout], 1);
    }
}

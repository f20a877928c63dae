//! Items kept as they are.

use std::fmt;

use spanwright_core::Priority;

use super::{Chunk, Class, Collect, Piece, Room};

/// Collects items of any type into `Vec`s of them.
pub(crate) struct Items<T> {
    size: fn(&T) -> usize,
}

impl<T> Items<T> {
    pub(crate) fn new(size: fn(&T) -> usize) -> Self {
        Self { size }
    }
}

impl<T: Send + 'static> Collect for Items<T> {
    type Input<'a> = &'a mut Option<T>;
    type Scratch = ();
    type Chunk = ItemChunk<T>;
    type Piece = ItemChunk<T>;
    type Request = Vec<T>;

    fn class(&self, _: &&mut Option<T>) -> Class {
        Class::default()
    }

    fn open_chunk(&self) -> ItemChunk<T> {
        ItemChunk {
            items: Vec::new(),
            bytes: 0,
        }
    }

    fn append(&self, item: &mut &mut Option<T>, (): &mut (), chunk: &mut ItemChunk<T>) -> usize {
        // Before it is taken: a size function that panics leaves the item where it is.
        let bytes = item.as_ref().map_or(0, self.size);
        chunk.items.extend(item.take());
        chunk.bytes += bytes;
        bytes
    }

    fn undo(&self, item: &mut &mut Option<T>, chunk: &mut ItemChunk<T>, mark: (usize, usize)) {
        chunk.bytes = mark.1;
        if chunk.items.len() > mark.0 {
            **item = chunk.items.pop();
        }
    }

    fn seal(&self, chunk: ItemChunk<T>) -> ItemChunk<T> {
        chunk
    }

    fn cut(&self, mut piece: ItemChunk<T>, room: Room) -> (Option<ItemChunk<T>>, Option<ItemChunk<T>>) {
        if room.takes(&piece) {
            return (Some(piece), None);
        }
        let (count, bytes) = room.take(piece.items.iter().map(self.size));
        let rest = ItemChunk {
            items: piece.items.split_off(count),
            bytes: piece.bytes - bytes,
        };
        piece.bytes = bytes;
        (
            Some(piece).filter(|front| !front.items.is_empty()),
            Some(rest).filter(|rest| !rest.items.is_empty()),
        )
    }

    fn assemble(&self, pieces: Vec<ItemChunk<T>>, _: Priority) -> Vec<T> {
        let mut pieces = pieces.into_iter().map(|piece| piece.items);
        let mut all = pieces.next().unwrap_or_default();
        pieces.for_each(|mut items| all.append(&mut items));
        all
    }

    fn share(&self, _: &Vec<T>) -> Option<Vec<T>> {
        None
    }

    fn halve(&self, _: &Vec<T>) -> Option<[(Vec<T>, usize, usize); 2]> {
        None
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}

/// Some items, and the bytes that they stand for.
#[derive(Debug)]
pub(crate) struct ItemChunk<T> {
    items: Vec<T>,
    bytes: usize,
}

/// The most items of a chunk: see [`CHUNK_BYTES`](super::pool::CHUNK_BYTES) for the reasons.
const CHUNK_ITEMS: usize = 64;

impl<T: Send + 'static> Chunk for ItemChunk<T> {
    type Mark = (usize, usize);

    fn item_count(&self) -> usize {
        self.items.len()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn mark(&self) -> (usize, usize) {
        (self.items.len(), self.bytes)
    }

    fn is_full(&self) -> bool {
        self.items.len() >= CHUNK_ITEMS
    }

    fn absorb(&mut self, mut other: Self) -> Result<(), Self> {
        if self.items.len() + other.items.len() > CHUNK_ITEMS {
            return Err(other);
        }
        self.items.append(&mut other.items);
        self.bytes += other.bytes;
        Ok(())
    }
}

impl<T: Send + 'static> Piece for ItemChunk<T> {
    fn item_count(&self) -> usize {
        self.items.len()
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

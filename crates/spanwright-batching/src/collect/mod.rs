//! What the engine collects: items into chunks, chunks into requests.

mod encoded;
mod items;
mod pool;

pub(crate) use self::encoded::{Encoded, EncodedInput, EncodedRequest};
pub(crate) use self::items::Items;
pub(crate) use spanwright_core::Class;

use std::time::Instant;

use spanwright_core::{EncodedBatch, Held, LossReason, Priority};

use crate::intake::Door;

/// How items of one kind are kept and turned into requests. The engine knows no more of them than this.
///
/// ```text
/// application thread             pipeline thread
/// append → Chunk (open) ──seal──► Piece (splittable) ──assemble──► Request ──► sink
/// ```
pub(crate) trait Collect: Send + Sync + Sized + 'static {
    /// Whether its bytes are what it takes in memory: then they are bound enough for what waits, and items need not be.
    const BYTES_ARE_EXACT: bool = false;

    /// How an item is handed over: by reference where it is only read, in its place where it is taken.
    type Input<'a>;
    /// What a thread keeps between two items.
    type Scratch: Default + Send + 'static;
    type Chunk: Chunk;
    type Piece: Piece;
    type Request: Send + 'static;

    /// Which lane the item takes, and with which others it shall be dropped if it must be.
    fn class(&self, item: &Self::Input<'_>) -> Class;

    /// An empty chunk, from the pool where there is one.
    fn open_chunk(&self) -> Self::Chunk;

    /// Appends the item to the chunk. Answers the bytes that it takes.
    fn append(&self, item: &mut Self::Input<'_>, scratch: &mut Self::Scratch, chunk: &mut Self::Chunk) -> usize;

    /// Takes back what [`append`](Self::append) did last, also when it panicked half way. `mark` is from before it.
    fn undo(&self, item: &mut Self::Input<'_>, chunk: &mut Self::Chunk, mark: <Self::Chunk as Chunk>::Mark);

    fn seal(&self, chunk: Self::Chunk) -> Self::Piece;

    /// Cuts `piece` in what fits into `room` and the rest.
    fn cut(&self, piece: Self::Piece, room: Room) -> (Option<Self::Piece>, Option<Self::Piece>);

    fn assemble(&self, pieces: Vec<Self::Piece>, priority: Priority) -> Self::Request;

    /// A second handle on the same request, for another destination or another attempt, where that costs nothing.
    fn share(&self, request: &Self::Request) -> Option<Self::Request>;

    /// Two requests with about half of the items each, and their items and bytes; `None` if there is only one item, or the
    /// items cannot be told apart.
    fn halve(&self, request: &Self::Request) -> Option<[(Self::Request, usize, usize); 2]>;

    /// The request as a store keeps it, where requests of this kind can be kept.
    fn batch<'a>(&self, request: &'a Self::Request) -> Option<&'a EncodedBatch> {
        let _ = request;
        None
    }

    /// The request that a store gave back.
    fn restore(&self, batch: EncodedBatch) -> Option<Self::Request> {
        let _ = batch;
        None
    }

    /// Called once per delay: give back memory that was not needed since the last time.
    fn trim(&self) {}

    /// Whether there is a stage in front of the queue that decides later. Then items go to [`hold`](Self::hold) and not to `append`.
    fn has_tail(&self) -> bool {
        false
    }

    /// Takes an item to that stage.
    fn hold(&self, item: Self::Input<'_>, door: &mut Door<'_, Self>) -> Result<(), LossReason> {
        let _ = (item, door);
        Ok(())
    }

    /// Lets the stage decide what is due; when it wants to be asked again.
    fn poll_tail(&self, now: Instant, door: &mut Door<'_, Self>) -> Option<Instant> {
        let _ = (now, door);
        None
    }

    /// Lets the stage decide about all that it holds; whether it did.
    fn drain_tail(&self, door: &mut Door<'_, Self>) -> bool {
        let _ = door;
        true
    }

    /// What the stage holds.
    fn held(&self) -> Held {
        Held::default()
    }
}

/// Items that one thread appended since its last chunk was taken.
pub(crate) trait Chunk: Send + 'static {
    /// Where a chunk stood.
    type Mark: Copy;

    fn item_count(&self) -> usize;
    fn bytes(&self) -> usize;
    fn mark(&self) -> Self::Mark;

    /// Whether the next item would rather not go in here.
    fn is_full(&self) -> bool;

    /// Moves what is in `other` to the end of this chunk, if both are small enough for that to save memory.
    fn absorb(&mut self, other: Self) -> Result<(), Self>
    where
        Self: Sized;
}

/// A sealed chunk, or the part of one that did not fit into a request.
pub(crate) trait Piece: Send + 'static {
    fn item_count(&self) -> usize;
    fn bytes(&self) -> usize;
}

/// How much more goes into a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    /// One item goes in even if it alone exceeds the bytes: it could go nowhere else.
    pub(crate) is_empty: bool,
}

impl Room {
    /// Whether a whole piece goes in.
    fn takes(&self, piece: &impl Piece) -> bool {
        piece.item_count() <= self.items && piece.bytes() <= self.bytes
    }

    /// How many of consecutive items of these sizes go in, and the bytes of them.
    fn take(&self, sizes: impl Iterator<Item = usize>) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for size in sizes.take(self.items) {
            let is_free = self.is_empty && count == 0;
            if bytes + size > self.bytes && !is_free {
                break;
            }
            bytes += size;
            count += 1;
        }
        (count, bytes)
    }
}

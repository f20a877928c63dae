//! Turning finished items into wire bytes.

use crate::EncodedBatch;

/// Turns a finished item into bytes, and frames runs of such bytes into a request.
///
/// The trait exists because of one property of the wire format: repeated protobuf fields concatenate. A *record* (one item
/// with its tag and length) is written once, when the item is finished, by the thread that finished it. From then on nobody
/// looks into it again: a request is a header, a header for each instrumentation scope, and runs of records copied or
/// referenced as they are.
///
/// ```text
/// request = open_request(n) ( open_scope(scope, m) record* )*
/// ```
///
/// # Contract
///
/// - `encode` is called on the application's threads, at the end of each item. It must not block, and must not panic; a
///   caller catches a panic, takes back what was written, and counts the item as lost with
///   [`LossReason::Encode`](crate::LossReason::Encode).
/// - Records are self-delimiting: [`record_len`](Self::record_len) finds where the first one of a run ends. That is what makes
///   it possible to split a request that a receiver found too large, without an index beside the bytes.
/// - The other methods are called on the pipeline thread, once per request.
///
/// # Cost
///
/// `encode` should do no allocation beside the growth of `out`, whose capacity is reused.
pub trait Encode<T: ?Sized>: Send + Sync + 'static {
    /// What one thread keeps between two items, for instance the scope that it saw last.
    type Scratch: Default + Send + 'static;

    /// Appends `item` to `out` as one record, and names the scope that the record belongs to.
    fn encode(&self, item: &T, scratch: &mut Self::Scratch, out: &mut Vec<u8>) -> ScopeId;

    /// Appends `record`, one whole record, to `out` as that of a sampled item whose trace state is what `trace_state` makes of
    /// the one in it. Whatever else is in the record stays as it is.
    ///
    /// For stages that decide after the end of an item ([`TailStage`](crate::TailStage)). What is no record of this encoder is
    /// appended as it came. The default does that always: it is right for items that have neither.
    ///
    /// Called wherever the stage releases items: on the application's threads, and on the pipeline thread. One copy, no allocation.
    fn amend(&self, record: &[u8], trace_state: &mut dyn RewriteTraceState, out: &mut Vec<u8>) {
        let _ = trace_state;
        out.extend_from_slice(record);
    }

    /// The length in bytes of the first record of `run`.
    ///
    /// A `run` that does not start with a whole record answers its own length, so that a caller that walks always ends.
    fn record_len(&self, run: &[u8]) -> usize;

    /// Appends the header after which `records_len` bytes of records of `scope` follow.
    fn open_scope(&self, scope: ScopeId, records_len: usize, out: &mut Vec<u8>);

    /// Appends the header after which `scopes_len` bytes of scopes (headers and records) follow.
    fn open_request(&self, scopes_len: usize, out: &mut Vec<u8>);

    /// Two requests of about half the items each, which together are `batch`; each of its priority.
    ///
    /// For requests whose runs are known no more, because they come back from disk or from a split: where the runs are known, they
    /// are cut by [`record_len`](Self::record_len). `None` for what is no request of this encoder, is not of as many items as it says,
    /// or has fewer than two. The default is always `None`: such a request is not sent in halves.
    fn halve(&self, batch: &EncodedBatch) -> Option<[EncodedBatch; 2]> {
        let _ = batch;
        None
    }
}

/// Says what the trace state of an item that was encoded earlier is to be.
pub trait RewriteTraceState {
    /// The new one for an item that has this one, in the form of the header (`key=value,key=value`, empty for none), and was or was
    /// not sampled when it ended.
    fn rewrite<'a>(&'a mut self, trace_state: &'a str, is_sampled: bool) -> &'a str;
}

/// Names an instrumentation scope within one encoder.
///
/// Small, dense and never reused, so that it can stand beside each run of records instead of the scope itself.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ScopeId(u32);

impl ScopeId {
    /// The scope with this index in the encoder's table.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index in the encoder's table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

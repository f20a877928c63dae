//! A request that is ready for the wire.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

/// An encoded request: reference-counted byte runs and the number of items in them.
///
/// A clone shares everything, so that a retry, a second destination or a write to disk copies nothing. The bytes are kept as
/// the runs that they were written in ([`segments`](Self::segments)); together, in order, they are the message.
///
/// # Cost
///
/// One allocation to make, one atomic increment to clone.
#[derive(Clone)]
pub struct EncodedBatch {
    inner: Arc<Inner>,
}

struct Inner {
    segments: Box<[Bytes]>,
    len: usize,
    item_count: usize,
    priority: Priority,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

impl EncodedBatch {
    /// A request of `item_count` items whose message is `segments`, one after the other.
    #[must_use]
    pub fn new(segments: impl Into<Box<[Bytes]>>, item_count: usize, priority: Priority) -> Self {
        let segments = segments.into();
        let len = segments.iter().map(Bytes::len).sum();
        Self {
            inner: Arc::new(Inner {
                segments,
                len,
                item_count,
                priority,
                gzip: OnceLock::new(),
                zstd: OnceLock::new(),
            }),
        }
    }

    /// The message, in the runs that it was written in. None of them is compressed.
    #[must_use]
    pub fn segments(&self) -> &[Bytes] {
        &self.inner.segments
    }

    /// The message in one piece: copied, unless it is of one segment.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.segments() {
            [one] => one.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.len());
                many.iter().for_each(|segment| whole.extend_from_slice(segment));
                whole.freeze()
            }
        }
    }

    /// The size of the message in bytes, before compression.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len
    }

    /// Whether the message has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }

    /// How many items (for traces: spans) are in it.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.inner.item_count
    }

    /// The lane that its items came through.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.inner.priority
    }

    /// The message under `encoding`, made by `compress` the first time and kept for every clone.
    ///
    /// `None` for [`ContentEncoding::Identity`], which needs no second copy: send the [`segments`](Self::segments).
    ///
    /// # Errors
    ///
    /// What `compress` answers; nothing is kept then.
    pub fn compressed<E>(
        &self,
        encoding: ContentEncoding,
        compress: impl FnOnce(&[Bytes]) -> Result<Bytes, E>,
    ) -> Result<Option<Bytes>, E> {
        let cell = match encoding {
            ContentEncoding::Identity => return Ok(None),
            ContentEncoding::Gzip => &self.inner.gzip,
            ContentEncoding::Zstd => &self.inner.zstd,
        };
        if let Some(bytes) = cell.get() {
            return Ok(Some(bytes.clone()));
        }
        // Two destinations that come here at the same moment both compress; one result stays. Better than to block one of them.
        let bytes = compress(self.segments())?;
        Ok(Some(cell.get_or_init(|| bytes).clone()))
    }
}

impl fmt::Debug for EncodedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedBatch")
            .field("item_count", &self.item_count())
            .field("len", &self.len())
            .field("segments", &self.segments().len())
            .field("priority", &self.priority())
            .finish()
    }
}

/// Which lane an item takes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "two lanes are the design; a third would change every match on purpose"
)]
pub enum Priority {
    /// Everything that is not [`High`](Self::High).
    #[default]
    Normal,
    /// Dropped last: it may take the place of normal items, up to the reserved share of the bound.
    High,
}

impl Priority {
    /// Both lanes, the first to be dropped first.
    pub const ALL: [Self; 2] = [Self::Normal, Self::High];

    /// A dense index: the position in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How a message is compressed on the wire, by the name that both HTTP's `content-encoding` and gRPC's `grpc-encoding` use.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ContentEncoding {
    /// Not at all.
    #[default]
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl ContentEncoding {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for ContentEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> EncodedBatch {
        EncodedBatch::new(
            [Bytes::from_static(b"head"), Bytes::from_static(b"tail")],
            2,
            Priority::High,
        )
    }

    #[test]
    fn segments_together_are_the_message() {
        assert_eq!(batch().to_bytes(), "headtail");
        assert_eq!((batch().len(), batch().item_count()), (8, 2));
    }

    #[test]
    fn one_segment_is_not_copied() {
        let segment = Bytes::from(vec![1, 2, 3]);
        let batch = EncodedBatch::new([segment.clone()], 1, Priority::Normal);
        assert_eq!(batch.to_bytes().as_ptr(), segment.as_ptr());
    }

    #[test]
    fn compression_happens_once_for_all_clones() {
        let (first, second) = (batch(), batch());
        let clone = first.clone();
        let compress = |_: &[Bytes]| Ok::<_, ()>(Bytes::from_static(b"x"));
        let never = |_: &[Bytes]| -> Result<Bytes, ()> { panic!("compressed twice") };
        assert_eq!(
            first.compressed(ContentEncoding::Gzip, compress),
            Ok(Some(Bytes::from_static(b"x")))
        );
        assert_eq!(
            clone.compressed(ContentEncoding::Gzip, never),
            Ok(Some(Bytes::from_static(b"x")))
        );
        assert_eq!(second.compressed(ContentEncoding::Identity, never), Ok(None));
    }

    #[test]
    fn a_failed_compression_is_tried_again() {
        let batch = batch();
        assert_eq!(
            batch.compressed(ContentEncoding::Zstd, |_| Err("no memory")),
            Err("no memory")
        );
        assert!(
            batch
                .compressed(ContentEncoding::Zstd, |_| Ok::<_, ()>(Bytes::new()))
                .is_ok()
        );
    }
}

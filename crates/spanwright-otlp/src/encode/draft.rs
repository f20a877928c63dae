//! Where a message is written before its length is known.

use super::wire::{Cursor, MAX_VARINT_LEN, Written, varint_len};

/// Room in front of the message for its tag and length, which are written last.
const HEADER_LEN: usize = 1 + MAX_VARINT_LEN;

/// The first size. A span of ten attributes takes 400 bytes.
const FIRST_LEN: usize = 1024;

/// The largest size that is kept, so that one huge span does not cost memory for ever on each thread.
///
/// A larger message is written again after each doubling from here, which at this size disappears beside the copying itself.
const MAX_KEPT_LEN: usize = 64 * 1024;

/// A buffer in which one message after the other is written.
///
/// The length of a message stands in front of it. Writing it here first makes both canonical and simple what else would need
/// a walk through the whole span to learn its length, or a shift of its bytes afterwards; the price is one copy of bytes that
/// are in the cache. It also means that what the message is appended to never holds half of one.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Initialised once. It is written over by each message, and never cleared.
    bytes: Vec<u8>,
}

impl Draft {
    /// Appends to `out` the field `tag` that has for its content what `write` writes.
    ///
    /// `write` runs again with a larger buffer if it did not fit.
    #[inline]
    pub(super) fn append_field(
        &mut self,
        out: &mut Vec<u8>,
        tag: u8,
        write: impl for<'a> Fn(Cursor<'a>) -> Written<'a>,
    ) {
        let left = loop {
            if let Some(room) = self.bytes.get_mut(HEADER_LEN..)
                && let Ok(cursor) = write(Cursor::new(room))
            {
                break cursor.room();
            }
            self.grow();
        };
        let end = self.bytes.len() - left;
        let len = end - HEADER_LEN;
        let start = HEADER_LEN - 1 - varint_len(len as u64);
        let header = Cursor::new(&mut self.bytes[start..HEADER_LEN]).header(tag, len);
        debug_assert!(
            header.is_ok_and(|cursor| cursor.room() == 0),
            "the header fills its room"
        );
        out.extend_from_slice(&self.bytes[start..end]);
        if self.bytes.len() > MAX_KEPT_LEN {
            self.shrink();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.bytes.resize((self.bytes.len() * 2).max(FIRST_LEN), 0);
    }

    #[cold]
    #[inline(never)]
    fn shrink(&mut self) {
        self.bytes.truncate(MAX_KEPT_LEN);
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::wire::delimited;

    fn append(draft: &mut Draft, text: &str) -> Vec<u8> {
        let mut out = b"before".to_vec();
        draft.append_field(&mut out, delimited(2), |cursor| cursor.bytes(text.as_bytes()));
        out.split_off("before".len())
    }

    #[test]
    fn the_header_is_canonical_for_every_length() {
        let mut draft = Draft::default();
        for len in [0, 1, 127, 128, 1000, 16_383, 16_384, 100_000, 2_097_152, 5] {
            let text = "x".repeat(len);
            let record = append(&mut draft, &text);
            assert_eq!(record[0], 0x12);
            assert_eq!(record.len(), 1 + varint_len(len as u64) + len);
            assert!(record.ends_with(text.as_bytes()));
        }
    }

    #[test]
    fn one_huge_message_does_not_keep_its_buffer() {
        let mut draft = Draft::default();
        append(&mut draft, &"x".repeat(1 << 20));
        assert_eq!(draft.bytes.capacity(), MAX_KEPT_LEN);
    }
}

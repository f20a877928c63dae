//! What keys look like, for people who want to know which they are.

use std::sync::atomic::{AtomicU64, Ordering};

/// The beginning of the text of each key, in a fixed place of its own.
///
/// Each word has seven bytes of the text, and eight bits of the generation of the cell whose key it is: what two keys wrote over
/// each other is no text of either.
#[derive(Debug)]
pub(super) struct Texts {
    lines: Box<[[AtomicU64; WORDS]]>,
}

/// The beginning of a text.
#[derive(Debug)]
pub(super) struct Excerpt {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

const WORDS: usize = 8;
const BYTES_PER_WORD: usize = 7;

/// As much of a key's text as is remembered: a cache line's worth.
const MAX_BYTES: usize = WORDS * BYTES_PER_WORD;

impl Texts {
    pub(super) fn new(slots: usize) -> Self {
        let line = |_| [const { AtomicU64::new(0) }; WORDS];
        Self {
            lines: (0..slots).map(line).collect(),
        }
    }

    pub(super) fn set(&self, slot: usize, generation: u16, text: &Excerpt) {
        let chunks = text.bytes.chunks_exact(BYTES_PER_WORD);
        for (word, chunk) in self.lines[slot].iter().zip(chunks) {
            let bytes = chunk.iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte));
            // Relaxed, and below: each word says itself whose it is.
            word.store(bytes << 8 | u64::from(generation as u8), Ordering::Relaxed);
        }
    }

    /// `None` if it is not written yet.
    pub(super) fn get(&self, slot: usize, generation: u16) -> Option<String> {
        let mut bytes = [0; MAX_BYTES];
        for (word, chunk) in self.lines[slot].iter().zip(bytes.chunks_exact_mut(BYTES_PER_WORD)) {
            let word = word.load(Ordering::Relaxed);
            if word as u8 != generation as u8 {
                return None;
            }
            chunk.copy_from_slice(&word.to_be_bytes()[..BYTES_PER_WORD]);
        }
        let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(MAX_BYTES);
        let text = String::from_utf8_lossy(&bytes[..len]);
        // What was cut off in the middle of a character ends before it.
        Some(text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned())
    }
}

impl Excerpt {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; MAX_BYTES],
            len: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.len += len;
    }

    pub(super) fn as_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes[..self.len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_what_two_keys_wrote_is_nobodys() {
        let texts = Texts::new(2);
        assert_eq!(texts.get(1, 3), None, "nothing written in this generation");
        let mut long = Excerpt::new();
        long.push("é".repeat(40).as_bytes());
        texts.set(1, 3, &long);
        assert_eq!(texts.get(1, 3), Some("é".repeat(28)));
        let mut short = Excerpt::new();
        short.push(b"GET ");
        short.push(b"/orders");
        texts.set(1, 4, &short);
        assert_eq!(texts.get(1, 4).as_deref(), Some("GET /orders"));
        assert_eq!(texts.get(1, 3), None);
        texts.lines[1][2].store(3, Ordering::Relaxed);
        assert_eq!(texts.get(1, 4), None, "a late writer was here");
    }
}

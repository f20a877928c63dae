//! How the member's value is written.

use super::{MAX_LEN, OtelTraceState};
use crate::probability::DIGITS;

/// Room for a threshold and a randomness, and nothing else.
pub(super) const SHORT: usize = 2 * "th:;".len() + 2 * DIGITS;

/// Room for a value of full length to which a threshold and a randomness are added.
pub(super) const LONG: usize = MAX_LEN + SHORT;

/// The value of an `ot` member as it is written: built once, on the stack.
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// `th`, `rv`, then the others in their order.
    pub(super) fn of(state: OtelTraceState<'_>) -> Self {
        let mut text = Self { bytes: [0; N], len: 0 };
        if let Some(threshold) = state.threshold {
            text.push("th:");
            text.push_digits(threshold.bits(), threshold.significant_digits());
        }
        if let Some(randomness) = state.randomness {
            text.push("rv:");
            text.push_digits(randomness.bits(), DIGITS);
        }
        if state.has_others() {
            state.others().for_each(|other| text.push(other));
        }
        text
    }

    pub(super) fn as_str(&self) -> &str {
        // Everything in it is ASCII.
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// A member, or the beginning of one.
    fn push(&mut self, text: &str) {
        let mut start = self.len;
        if start > 0 {
            self.bytes[start] = b';';
            start += 1;
        }
        self.len = start + text.len();
        self.bytes[start..self.len].copy_from_slice(text.as_bytes());
    }

    /// The first of a number's 14 hexadecimal digits.
    fn push_digits(&mut self, bits: u64, digits: usize) {
        let places = &mut self.bytes[self.len..self.len + digits];
        // The first digit comes to the top.
        let mut rest = bits << (u64::BITS as usize - 4 * DIGITS);
        for place in places {
            *place = b"0123456789abcdef"[(rest >> 60) as usize];
            rest <<= 4;
        }
        self.len += digits;
    }
}

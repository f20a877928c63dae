//! How the member's value is written.

use super::{MAX_LEN, OtelTraceState};
use crate::probability::DIGITS;

/// Room for a threshold and a randomness, and nothing else.
pub(super) const SHORT: usize = 2 * "th:;".len() + DIGITS + WRITTEN;

/// So many digits are written, always, and those that count stay.
const WRITTEN: usize = 16;

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
        // The first digit comes to the top.
        let bits = bits << (u64::BITS as usize - 4 * DIGITS);
        let all = [hex((bits >> 32) as u32), hex(bits as u32)];
        self.bytes[self.len..self.len + WRITTEN].copy_from_slice(all.as_flattened());
        self.len += digits;
    }
}

/// The eight hexadecimal digits of a number, all at once: a digit a byte, and to each what makes a character of it.
fn hex(bits: u32) -> [u8; 8] {
    let mut digits = u64::from(bits);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 6 more carry a digit above 9 into the upper half of its byte.
    let letters = (digits + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let characters = digits + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10);
    characters.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let mut bits = 1_u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            assert_eq!(hex(bits).as_slice(), format!("{bits:08x}").as_bytes());
        }
    }
}

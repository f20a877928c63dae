//! What a trace draws once.

use std::fmt;

use opentelemetry::TraceId;

use super::{DIGITS, RANGE};

/// The 56 random bits of a trace: the same wherever its spans are made, and so is every decision by them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Randomness(u64);

impl Randomness {
    /// These 56 bits; those above are cut off.
    #[must_use]
    #[inline]
    pub const fn new(bits: u64) -> Self {
        Self(bits & (RANGE - 1))
    }

    /// The last seven bytes of a trace id, which are random (W3C Trace Context, level 2).
    #[must_use]
    #[inline]
    pub fn of_trace_id(trace_id: TraceId) -> Self {
        let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
        Self::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Reads a value of `rv`: exactly 14 digits, lower case. `None` if it is anything else.
    #[must_use]
    pub fn parse(rv: &str) -> Option<Self> {
        if rv.len() != DIGITS {
            return None;
        }
        super::threshold::parse_hex(rv).map(Self)
    }

    /// From 0 to 2^56 - 1.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// As `rv` has it: 14 digits.
impl fmt::Display for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

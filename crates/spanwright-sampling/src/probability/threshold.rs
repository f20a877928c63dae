//! What randomness must reach.

use std::fmt;

use super::{DIGITS, RANGE, Randomness};

/// What a trace's randomness must reach for its spans to be kept.
///
/// `T = 2^56 - round(p * 2^56)`, so that `p = (2^56 - T) / 2^56`: a threshold of 0 keeps everything, a larger one keeps a subset
/// of what a smaller one keeps. There is none for a probability of 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Threshold(u64);

/// How many significant hexadecimal digits a threshold has, 1 to 14.
///
/// Digits that only say how small or how large the probability is (leading `f` or `0`) do not count. The specification
/// recommends 4, with which a probability is off by less than 1 in 30 000.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Precision(u8);

impl Threshold {
    /// Keeps everything.
    pub const ALWAYS: Self = Self(0);

    /// The threshold of a probability from 2^-56 to 1, exact to the nearest of its 2^56 steps. `None` outside of that range, and
    /// for NaN.
    #[must_use]
    pub fn from_probability(probability: f64) -> Option<Self> {
        if !(1.0 / RANGE as f64..=1.0).contains(&probability) {
            return None;
        }
        Some(Self(RANGE - (probability * RANGE as f64).round() as u64))
    }

    /// This threshold out of 2^56. `None` if it is that or more.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits < RANGE { Some(Self(bits)) } else { None }
    }

    /// Reads a value of `th`: 1 to 14 digits, lower case, what is missing on the right being zeros. `None` if it is anything else.
    #[must_use]
    pub fn parse(th: &str) -> Option<Self> {
        if th.is_empty() || th.len() > DIGITS {
            return None;
        }
        parse_hex(th).map(|bits| Self(bits << (4 * (DIGITS - th.len()))))
    }

    /// Rounded to so many significant digits.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        let significant = self.0 << 8;
        let leading = significant.leading_ones().max(significant.leading_zeros()) as usize / 4;
        let digits = (usize::from(precision.0) + leading).min(DIGITS);
        if digits == DIGITS {
            return self;
        }
        let shift = 4 * (DIGITS - digits);
        let rounded = ((self.0 + (1 << (shift - 1))) >> shift) << shift;
        // Rounding may carry up to 2^56, which is no threshold.
        Self::from_bits(rounded).unwrap_or(self)
    }

    /// The share of all traces that it keeps: above 0, up to 1.
    #[must_use]
    pub fn probability(self) -> f64 {
        (RANGE - self.0) as f64 / RANGE as f64
    }

    /// How many spans a kept one stands for: `1 / p`.
    #[must_use]
    pub fn adjusted_count(self) -> f64 {
        RANGE as f64 / (RANGE - self.0) as f64
    }

    /// Whether a trace of this randomness is kept.
    #[must_use]
    #[inline]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.bits() >= self.0
    }

    /// From 0 to 2^56 - 1.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// How many digits there are without the zeros on the right; one if there is nothing else.
    pub(crate) const fn significant_digits(self) -> usize {
        let zeros = self.0.trailing_zeros() as usize / 4;
        if zeros < DIGITS { DIGITS - zeros } else { 1 }
    }
}

impl Precision {
    /// Every digit: no rounding.
    pub const FULL: Self = Self(DIGITS as u8);

    /// So many digits, 1 to 14. `None` for any other number.
    #[must_use]
    pub const fn new(digits: u8) -> Option<Self> {
        if digits >= 1 && digits <= DIGITS as u8 {
            Some(Self(digits))
        } else {
            None
        }
    }
}

/// As `th` has it: up to 14 digits, zeros on the right left out.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.significant_digits();
        write!(f, "{:0digits$x}", self.0 >> (4 * (DIGITS - digits)))
    }
}

/// Lower case digits only, which `from_str_radix` is not strict about.
pub(super) fn parse_hex(text: &str) -> Option<u64> {
    text.bytes().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

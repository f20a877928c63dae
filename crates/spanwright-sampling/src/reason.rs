//! Why something was decided.

use std::fmt;

/// Why a sampler decided as it did. Few values, known in advance, for counters and for people.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A controller that holds a rate or a share.
    Adaptive,
    /// A sampler that never samples.
    AlwaysOff,
    /// A sampler that always samples.
    AlwaysOn,
    /// The hard ceiling of a burst. Such a drop has no weight: what is kept meanwhile stands for itself only.
    Burst,
    /// The budget of the span's key.
    Key,
    /// The budget that is shared by all keys that have none of their own.
    KeyOverflow,
    /// No rule fits.
    NoRule,
    /// What was decided for the parent.
    Parent,
    /// A fixed probability.
    Probability,
    /// A limit on the rate.
    RateLimit,
    /// A sampler that is not ours.
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Adaptive,
        Self::AlwaysOff,
        Self::AlwaysOn,
        Self::Burst,
        Self::Key,
        Self::KeyOverflow,
        Self::NoRule,
        Self::Parent,
        Self::Probability,
        Self::RateLimit,
        Self::Other,
    ];

    /// The value of the attribute `spanwright.sampler.reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::AlwaysOff => "always_off",
            Self::AlwaysOn => "always_on",
            Self::Burst => "burst",
            Self::Key => "key",
            Self::KeyOverflow => "key_overflow",
            Self::NoRule => "no_rule",
            Self::Parent => "parent",
            Self::Probability => "probability",
            Self::RateLimit => "rate_limit",
            Self::Other => "other",
        }
    }

    /// The place in [`ALL`](Self::ALL).
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

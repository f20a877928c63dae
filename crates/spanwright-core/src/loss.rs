//! Why an item was lost.

use std::fmt;
use std::ops::{AddAssign, Index};

/// Why an item will never arrive. Each lost item is counted under exactly one reason.
///
/// What a receiver took and then refused ([`Receipt::rejected`](crate::Receipt::rejected)) is not a loss of ours: the ledger
/// has its own column for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LossReason {
    /// It ended after `shutdown` was called.
    AlreadyShutdown,
    /// It lay on disk, and was damaged there or vanished from there.
    Corrupt,
    /// It could not be encoded.
    Encode,
    /// It waited for longer than it was worth keeping.
    Expired,
    /// The exporter panicked with it in its hands.
    ExporterPanicked,
    /// The receiver refused it for good.
    Permanent,
    /// The queue or the memory bound was full; the overflow policy chose it.
    QueueFull,
    /// It could not be delivered before the deadline of `shutdown`.
    ShutdownTimeout,
    /// The bound on disk was reached; the policy of the spool chose it.
    SpoolFull,
    /// It is by itself larger than the receiver or the protocol takes.
    TooLarge,
    /// The receiver did not accept our credentials.
    Unauthenticated,
}

impl LossReason {
    /// Every reason, in the order of [`LossCounts`].
    pub const ALL: [Self; 11] = [
        Self::AlreadyShutdown,
        Self::Corrupt,
        Self::Encode,
        Self::Expired,
        Self::ExporterPanicked,
        Self::Permanent,
        Self::QueueFull,
        Self::ShutdownTimeout,
        Self::SpoolFull,
        Self::TooLarge,
        Self::Unauthenticated,
    ];

    /// The value of the attribute `error.type`; `queue_full` and `already_shutdown` are the specification's own words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyShutdown => "already_shutdown",
            Self::Corrupt => "corrupt",
            Self::Encode => "encode",
            Self::Expired => "expired",
            Self::ExporterPanicked => "exporter_panicked",
            Self::Permanent => "permanent",
            Self::QueueFull => "queue_full",
            Self::ShutdownTimeout => "shutdown_timeout",
            Self::SpoolFull => "spool_full",
            Self::TooLarge => "too_large",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many items were lost, by reason.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct LossCounts([u64; LossReason::ALL.len()]);

impl LossCounts {
    /// Counts `items` more as lost for `reason`.
    pub fn add(&mut self, reason: LossReason, items: u64) {
        self.0[reason as usize] += items;
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (LossReason, u64)> + '_ {
        LossReason::ALL
            .into_iter()
            .map(|reason| (reason, self[reason]))
            .filter(|(_, items)| *items > 0)
    }
}

impl Index<LossReason> for LossCounts {
    type Output = u64;

    fn index(&self, reason: LossReason) -> &u64 {
        &self.0[reason as usize]
    }
}

impl AddAssign for LossCounts {
    fn add_assign(&mut self, other: Self) {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl fmt::Debug for LossCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(reason, items)| (reason.as_str(), items)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_reason_at_its_own_index() {
        for (index, reason) in LossReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason}");
        }
    }

    #[test]
    fn counts_add_up_by_reason() {
        let mut counts = LossCounts::default();
        counts.add(LossReason::QueueFull, 3);
        let mut other = LossCounts::default();
        other.add(LossReason::QueueFull, 1);
        other.add(LossReason::TooLarge, 2);
        counts += other;
        assert_eq!(
            counts.iter().collect::<Vec<_>>(),
            [(LossReason::QueueFull, 4), (LossReason::TooLarge, 2)]
        );
        assert_eq!(counts.total(), 6);
    }
}

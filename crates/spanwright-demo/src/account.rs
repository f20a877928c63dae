//! Where every span is.

use std::collections::BTreeMap;

use spanwright_core::Ledger;

/// The columns of the law `ended == exported + rejected + lost + pending`, of any pipeline, and parts of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) ended: u64,
    /// Of `ended`: found on disk, where an earlier run had left them.
    pub(crate) recovered: u64,
    pub(crate) exported: u64,
    /// Of `exported` and `rejected`: sent from the disk.
    pub(crate) replayed: u64,
    pub(crate) rejected: u64,
    pub(crate) lost: BTreeMap<&'static str, u64>,
    pub(crate) pending: u64,
    /// Of `pending`: in memory, until they can be sent.
    pub(crate) parked: u64,
    /// Of `pending`: on disk, and nowhere else.
    pub(crate) spooled: u64,
}

/// What became of all spans together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// All of them arrived.
    Arrived,
    /// None is lost: those that have not arrived are on disk, and the next run delivers them.
    Safe,
    /// Some did not arrive and will not.
    Missing,
}

impl Account {
    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Whether every span is in exactly one column.
    pub(crate) fn holds(&self) -> bool {
        self.ended == self.exported + self.rejected + self.lost_total() + self.pending
    }

    /// What it says of a pipeline that has shut down.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.ended {
            _ if !self.holds() => Verdict::Missing,
            ended if ended == self.exported => Verdict::Arrived,
            ended if ended == self.exported + self.spooled => Verdict::Safe,
            _ => Verdict::Missing,
        }
    }
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Safe => "safe",
            Self::Missing => "missing",
        }
    }
}

impl From<Ledger> for Account {
    fn from(ledger: Ledger) -> Self {
        Self {
            ended: ledger.ended,
            recovered: ledger.recovered,
            exported: ledger.exported,
            rejected: ledger.rejected,
            lost: ledger
                .lost
                .iter()
                .map(|(reason, spans)| (reason.as_str(), spans))
                .collect(),
            pending: ledger.pending,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::LossReason;

    use super::*;

    #[test]
    fn spans_that_are_lost_are_missing_and_those_on_disk_are_not() {
        let mut ledger = Ledger {
            ended: 5,
            exported: 3,
            ..Ledger::default()
        };
        let account = Account::from(ledger);
        assert!(!account.holds() && account.verdict() == Verdict::Missing);
        ledger.lost.add(LossReason::QueueFull, 2);
        let account = Account::from(ledger);
        assert!(account.holds() && account.verdict() == Verdict::Missing);
        assert_eq!(account.lost, BTreeMap::from([("queue_full", 2)]));

        let account = Account {
            pending: 2,
            spooled: 2,
            lost: BTreeMap::new(),
            ..account
        };
        assert_eq!(account.verdict(), Verdict::Safe);
        let account = Account {
            exported: 5,
            pending: 0,
            spooled: 0,
            ..account
        };
        assert_eq!(account.verdict(), Verdict::Arrived);
    }
}

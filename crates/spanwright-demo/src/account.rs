//! Where every span is.

use std::collections::BTreeMap;

use spanwright_core::Ledger;

/// The columns of the law `ended == exported + rejected + lost + pending`, of any pipeline.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) ended: u64,
    pub(crate) exported: u64,
    pub(crate) rejected: u64,
    pub(crate) lost: BTreeMap<&'static str, u64>,
    pub(crate) pending: u64,
}

impl Account {
    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Whether every span is in exactly one column.
    pub(crate) fn holds(&self) -> bool {
        self.ended == self.exported + self.rejected + self.lost_total() + self.pending
    }

    /// Whether it holds, and every span has arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.holds() && self.exported == self.ended
    }
}

impl From<Ledger> for Account {
    fn from(ledger: Ledger) -> Self {
        Self {
            ended: ledger.ended,
            exported: ledger.exported,
            rejected: ledger.rejected,
            lost: ledger
                .lost
                .iter()
                .map(|(reason, spans)| (reason.as_str(), spans))
                .collect(),
            pending: ledger.pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwright_core::LossReason;

    use super::*;

    #[test]
    fn it_is_complete_when_all_arrived_and_holds_when_all_are_accounted_for() {
        let mut ledger = Ledger {
            ended: 5,
            exported: 3,
            ..Ledger::default()
        };
        assert!(!Account::from(ledger).holds());
        ledger.lost.add(LossReason::QueueFull, 2);
        let account = Account::from(ledger);
        assert!(account.holds() && !account.is_complete());
        assert_eq!(account.lost, BTreeMap::from([("queue_full", 2)]));
        let account = Account {
            ended: 3,
            lost: BTreeMap::new(),
            ..account
        };
        assert!(account.is_complete());
    }
}

//! The law of conservation.

use std::error::Error;
use std::fmt;

use crate::LossCounts;

/// Where every item that ended is now.
///
/// The law, at every moment: `ended == exported + rejected + lost + pending`. Each column is counted on its own, none is
/// derived from the others, so that [`check`](Self::check) can fail; and the five are read at one moment, so that it does not.
///
/// ```
/// use spanwright_core::{Ledger, LossReason};
///
/// let mut ledger = Ledger { ended: 10, exported: 6, rejected: 1, pending: 1, ..Ledger::default() };
/// ledger.lost.add(LossReason::QueueFull, 2);
/// assert!(ledger.check().is_ok());
/// ledger.pending += 1;
/// assert_eq!(
///     ledger.check().unwrap_err().to_string(),
///     "10 items ended, but 11 are accounted for: exported 6, rejected 1, lost 2, pending 2"
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    /// Items that were finished and handed over.
    pub ended: u64,
    /// Items that the receiver took.
    pub exported: u64,
    /// Items that the receiver refused in a request that it otherwise took.
    pub rejected: u64,
    /// Items that will never arrive, by reason.
    pub lost: LossCounts,
    /// Items that are still ours: in a thread's chunk, in the queue, on the way, or parked.
    pub pending: u64,
}

impl Ledger {
    /// Whether every item that ended is in exactly one column.
    ///
    /// # Errors
    ///
    /// The law is broken: a defect of ours, with the figures.
    pub fn check(&self) -> Result<(), Imbalance> {
        let accounted = self.exported + self.rejected + self.lost.total() + self.pending;
        if accounted == self.ended {
            Ok(())
        } else {
            Err(Imbalance { ledger: *self })
        }
    }
}

/// A [`Ledger`] that does not add up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Imbalance {
    ledger: Ledger,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger {
            ended,
            exported,
            rejected,
            lost,
            pending,
        } = self.ledger;
        let lost = lost.total();
        let accounted = exported + rejected + lost + pending;
        write!(
            f,
            "{ended} items ended, but {accounted} are accounted for: \
             exported {exported}, rejected {rejected}, lost {lost}, pending {pending}"
        )
    }
}

impl Error for Imbalance {}

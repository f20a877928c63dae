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
    /// Items that were finished and handed over, and those that were [recovered](Self::recovered).
    pub ended: u64,
    /// Items of `ended` that were not finished here, but found on disk, where an earlier process had left them. Not a part of the law.
    pub recovered: u64,
    /// Items that the receiver took.
    pub exported: u64,
    /// Items that the receiver refused in a request that it otherwise took.
    pub rejected: u64,
    /// Items that will never arrive, by reason.
    pub lost: LossCounts,
    /// Items that are still ours: in a thread's chunk, in the queue, on the way, parked, or on disk.
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
            Err(Imbalance {
                ledger: Box::new(*self),
            })
        }
    }
}

/// Where every item is that came to a stage which decides later: in front of the [`Ledger`], and as exact.
///
/// The law, at every moment: `ended == kept + dropped + lost + held`. What is kept or lost goes into the ledger of the delivery, so
/// that there `ended == kept + lost` holds at the same moment ([`check`](Self::check)); what is dropped is nobody's loss.
///
/// ```
/// use spanwright_core::{Ledger, TailLedger};
///
/// let tail = TailLedger { ended: 10, kept: 3, dropped: 5, held: 2, held_bytes: 4096, ..TailLedger::default() };
/// let delivery = Ledger { ended: 3, pending: 3, ..Ledger::default() };
/// assert!(tail.check(&delivery).is_ok());
/// assert_eq!(
///     TailLedger { held: 1, ..tail }.check(&delivery).unwrap_err().to_string(),
///     "10 items ended at the tail, but 9 are accounted for: kept 3, dropped 5, lost 0, held 1; 3 ended for delivery"
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TailLedger {
    /// Items that ended, sampled or not.
    pub ended: u64,
    /// Items that were decided to be kept, and handed to the delivery.
    pub kept: u64,
    /// Items that were decided to be dropped.
    pub dropped: u64,
    /// Items that the stage has never seen, because they could not be encoded or ended after the shutdown. They are lost items of
    /// the delivery, under that reason.
    pub lost: u64,
    /// Items that are not decided about.
    pub held: u64,
    /// The memory that the stage takes for them. Not a part of the law.
    pub held_bytes: u64,
}

impl TailLedger {
    /// Whether every item that ended is in exactly one column, and those that went on are what ended for `delivery`.
    ///
    /// # Errors
    ///
    /// The law is broken: a defect of ours, with the figures.
    pub fn check(&self, delivery: &Ledger) -> Result<(), TailImbalance> {
        let accounted = self.kept + self.dropped + self.lost + self.held;
        if accounted == self.ended && self.kept + self.lost + delivery.recovered == delivery.ended {
            Ok(())
        } else {
            Err(TailImbalance {
                tail: *self,
                delivered: delivery.ended - delivery.recovered.min(delivery.ended),
            })
        }
    }
}

/// A [`TailLedger`] that does not add up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TailImbalance {
    tail: TailLedger,
    delivered: u64,
}

impl fmt::Display for TailImbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TailLedger {
            ended,
            kept,
            dropped,
            lost,
            held,
            ..
        } = self.tail;
        let accounted = kept + dropped + lost + held;
        write!(
            f,
            "{ended} items ended at the tail, but {accounted} are accounted for: \
             kept {kept}, dropped {dropped}, lost {lost}, held {held}; {} ended for delivery",
            self.delivered
        )
    }
}

impl Error for TailImbalance {}

/// A [`Ledger`] that does not add up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imbalance {
    /// Boxed: hardly any check has it.
    ledger: Box<Ledger>,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger {
            ended,
            exported,
            rejected,
            lost,
            pending,
            ..
        } = *self.ledger;
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

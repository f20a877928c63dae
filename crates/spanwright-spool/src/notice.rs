//! What the log has to tell.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{Event, LossReason, Observer};

use crate::volume::DamageTotal;

/// Something that a person may want to know. The log collects them; whoever drives it tells an observer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Requests were found damaged.
    Damaged(DamageTotal),
    /// The disk takes no requests for now.
    Degraded(Arc<io::Error>),
    /// Items were lost.
    Lost {
        /// Why.
        reason: LossReason,
        /// How many.
        items: u64,
    },
    /// The disk takes requests again.
    Recovered {
        /// How long it did not.
        outage: Duration,
    },
    /// Segments were found that cannot be read.
    Unreadable {
        /// How many.
        segments: u64,
        /// What the disk said of the first.
        error: Arc<io::Error>,
    },
}

impl Notice {
    /// Tells it.
    pub fn tell(&self, observer: &dyn Observer) {
        observer.event(&match self {
            Self::Damaged(total) => Event::SpoolDamaged {
                records: total.records,
                items: total.items,
                bytes: total.bytes,
            },
            Self::Degraded(error) => Event::SpoolDegraded { error },
            Self::Lost { reason, items } => Event::Lost {
                reason: *reason,
                items: *items,
            },
            Self::Recovered { outage } => Event::SpoolRecovered { outage: *outage },
            Self::Unreadable { segments, error } => Event::SpoolUnreadable {
                segments: *segments,
                error,
            },
        });
    }
}

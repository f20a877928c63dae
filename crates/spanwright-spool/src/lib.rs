//! A crash-safe segment log of encoded requests.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod claim;
mod commit;
mod config;
mod drain;
mod format;
mod fs;
mod inspect;
mod log;
mod notice;
mod now;
mod ranges;
mod refused;
mod segment;
mod spool;
mod stats;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod volume;
mod zstd;

#[doc(inline)]
pub use self::{
    claim::Claim,
    commit::{Commit, Committed},
    config::{FullPolicy, Mode, SpoolConfig},
    drain::{DrainPace, Permit},
    format::FORMAT_VERSION,
    fs::{DiskFs, Fs, FsEntry, FsFile},
    inspect::{InspectedDirectory, InspectedSegment, Inspection, SegmentState, export, inspect},
    log::{ClaimId, Log, Record, Written},
    notice::Notice,
    now::Now,
    refused::{Refused, RefusedReason},
    spool::{NotDurable, Spool, SpoolBuilder},
    stats::SpoolStats,
    volume::DamageTotal,
};

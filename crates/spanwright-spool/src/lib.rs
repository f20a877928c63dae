//! A crash-safe segment log of encoded requests: what cannot be delivered now survives on disk, and every loss is counted.
//!
//! It **is** a place for requests between their encoding and their delivery: appended to segment files, checksummed, read back
//! oldest first, claimed, acknowledged, removed. It **is not** a queue for anything, nor a database: there is one order, and
//! whole files go. It knows neither the encoding of what it keeps nor who delivers it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use bytes::Bytes;
//! use spanwright_core::{EncodedBatch, Priority};
//! use spanwright_spool::{Spool, SpoolConfig};
//!
//! # let directory = std::env::temp_dir().join(format!("spanwright-essay-{}", std::process::id()));
//! let config = SpoolConfig::new(&directory).with_max_bytes(256 << 20);
//! let spool = Spool::builder("").with_config(config).spawn()?;
//!
//! // The receiver is away:
//! let batch = EncodedBatch::new([Bytes::from_static(b"an encoded request")], 12, Priority::Normal);
//! if let Err(refused) = spool.write(batch) {
//!     eprintln!("{refused}"); // and keep `refused.into_batch()` in memory
//! }
//! // It is back, today or after a restart:
//! while let Some(claim) = spool.claim() {
//!     // send `claim.batch()`, then:
//!     claim.ack();
//! }
//! spool.shutdown(Duration::from_secs(5))?;
//! # std::fs::remove_dir_all(directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! # The main types
//!
//! | for | type |
//! |---|---|
//! | a spool with a thread of its own | [`Spool`], [`SpoolBuilder`], [`Claim`] |
//! | the engine, for those who have a thread | [`Log`], [`Commit`], [`Record`] |
//! | settings | [`SpoolConfig`], [`Mode`], [`FullPolicy`] |
//! | what happened | [`SpoolStats`], [`Refused`], [`Notice`] |
//! | delivering the past beside the present | [`DrainPace`](spanwright_core::DrainPace) |
//! | looking from outside | [`inspect`], [`export`], `cargo run -p spanwright-spool --example inspect -- DIR` |
//! | another file system | [`Fs`], [`DiskFs`], `testing::MemoryFs` |
//!
//! # What holds
//!
//! - **The end of the process**, also by `kill -9`, loses nothing that [`Spool::write`] took: it is in the system's hands then.
//! - **The end of the machine** loses at most what is younger than the sync interval and one sync, and nothing up to
//!   [`Spool::durable`]. A disk that lies about its syncs is beyond us.
//! - **Delivery is at least once.** After the end of the process only what was claimed and not acknowledged is repeated; after the
//!   end of the machine also what was acknowledged in the last interval.
//! - **Every loss is counted**: `written + recovered == acked + lost{reason} + pending`, exact, at every moment that
//!   [`SpoolStats::ledger`] shows. Of damaged requests the headers tell how many items are gone.
//! - **It never refuses to start, never panics, never stops its host.** A full, failing, read-only or vanished disk makes the next
//!   write be given back, and is tried again by itself.
//! - **Foreign files are not touched**, and files of a later version are refused by name.
//!
//! # The directory
//!
//! ```text
//! DIR/spool-00000001/       one for each process, held by a lock; what a dead one leaves, a living one takes over
//!   LOCK
//!   seg-0000000000000042.log    requests: length, crc32c, kind, items, time, payload
//!   seg-0000000000000041-24.bad bytes that cannot be read, kept for a person to see (16 MiB at most)
//!   cursor                      what is settled, replaced as a whole
//!   acks                        what was settled since then
//! ```
//!
//! Directories have mode 0700 and files 0600. A bound in bytes holds for each process with what it has taken over.
//!
//! # Features and MSRV
//!
//! | feature | adds |
//! |---|---|
//! | `testing` | `testing::MemoryFs`, a file system in memory that crashes, tears, fills up and fails on demand |
//! | `zstd` | `SpoolConfig::with_zstd`, and reading what was written so |
//!
//! Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod claim;
mod commit;
mod config;
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
mod store;
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

//! From `span.end()` to a request: per-thread encode buffers, a byte-bounded queue, batch assembly, and the `SpanProcessor`.
//!
//! It **is** everything between the end of an item on an application's thread and the call of an exporter: bounded, counted,
//! and never in the application's way. It **is not** the encoding (any [`Encode`](spanwright_core::Encode) serves), nor the
//! delivery (any [`Exporter`](spanwright_core::Exporter) does).
//!
//! ```
//! use std::time::Duration;
//! use spanwright_batching::{BatchConfig, Batcher};
//!
//! // The engine alone, for any item and any async function:
//! let config = BatchConfig::default().with_max_export_batch_size(100).with_scheduled_delay(Duration::from_millis(50));
//! let batcher = Batcher::builder().with_config(config).spawn(|events: Vec<u32>| async move {
//!     println!("{} events", events.len()); // send them somewhere
//!     Ok::<_, std::io::Error>(())
//! })?;
//! batcher.push(7)?;
//! let report = batcher.shutdown(Duration::from_secs(5))?;
//! assert_eq!(report.destinations[0].exported, 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # The main types
//!
//! | for | type |
//! |---|---|
//! | spans under the OpenTelemetry SDK | [`BatchSpanProcessor`], [`BatchSpanProcessorBuilder`] |
//! | anything that can be encoded | [`BatchProcessor`] |
//! | anything at all | [`Batcher`], [`PushError`] |
//! | settings | [`BatchConfig`], [`OverflowPolicy`], [`BatchSizer`]: [`Fixed`], [`LatencyTarget`] |
//! | what happened | [`Report`], [`Stats`], [`QueueMonitor`], [`FlushError`] |
//!
//! # What holds
//!
//! - `ended == exported + rejected + lost{reason} + pending`, exact, at every moment that [`BatchProcessor::stats`] shows.
//! - The bound holds exactly, in items and bytes; one thread may use all of it, and many do not multiply it.
//! - A flush covers everything that ended before it was called, on every thread.
//! - With a [`Store`](spanwright_core::Store) (a spool, [`BatchProcessorBuilder::with_stored_exporter`]) what has no room in memory, and what a
//!   shutdown cannot deliver, is there, and is delivered later.
//! - Nothing an exporter does (hang, fail, panic) reaches the application or ends the pipeline thread.
//!
//! # Features and MSRV
//!
//! None. Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batcher;
mod collect;
mod config;
mod engine;
mod handle;
mod intake;
mod memory;
mod monitor;
mod otel;
mod overflow;
mod processor;
mod report;
mod sizer;
mod sync;
#[cfg(test)]
mod testing;
mod worker;

#[doc(inline)]
pub use self::{
    batcher::{Batcher, BatcherBuilder, PushError},
    config::BatchConfig,
    monitor::QueueMonitor,
    otel::{BatchSpanProcessor, BatchSpanProcessorBuilder},
    overflow::OverflowPolicy,
    processor::{BatchProcessor, BatchProcessorBuilder},
    report::{Delivery, DestinationStats, FlushError, Report, Stats},
    sizer::{BatchSizer, Fixed, LatencyTarget},
};

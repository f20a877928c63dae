//! The small traits and the vocabulary that the Spanwright crates share.
//!
//! It **is** what a batch, an exporter, a loss and a clock are called and how they behave, so that a sampler, a processor, a
//! transport and a monitor written apart fit together. It **is not** an implementation of any of them: there is no runtime,
//! no I/O and no `opentelemetry_sdk` in here.
//!
//! An exporter is a [`tower_service::Service`]; this one keeps what it is given:
//!
//! ```
//! use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
//! use spanwright_core::{EncodedBatch, ExportError, Exporter, Receipt};
//! use tower_service::Service;
//!
//! #[derive(Default)]
//! struct Keep(Vec<EncodedBatch>);
//!
//! impl Service<EncodedBatch> for Keep {
//!     type Response = Receipt;
//!     type Error = ExportError;
//!     type Future = Ready<Result<Receipt, ExportError>>;
//!     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExportError>> {
//!         Poll::Ready(Ok(()))
//!     }
//!     fn call(&mut self, batch: EncodedBatch) -> Self::Future {
//!         self.0.push(batch); // reference-counted: nothing is copied
//!         ready(Ok(Receipt::accepted()))
//!     }
//! }
//!
//! fn takes_an_exporter(_: impl Exporter) {}
//! takes_an_exporter(Keep::default());
//! ```
//!
//! # The main types
//!
//! | where a span is | type |
//! |---|---|
//! | ended, to be turned into bytes | [`Encode`], [`ScopeId`] |
//! | held until its trace is decided about | [`TailStage`], [`TailLedger`] |
//! | in a request, ready for the wire | [`EncodedBatch`], [`Priority`], [`ContentEncoding`] |
//! | handed to somebody who sends it | [`Exporter`], [`BoxExporter`], [`Receipt`], [`ExportError`] |
//! | out of memory, to be delivered later | [`Store`], [`Stored`], [`DrainPace`] |
//! | gone | [`LossReason`], [`LossCounts`] |
//! | anywhere | [`Ledger`]: `ended == exported + rejected + lost + pending` |
//!
//! Beside them: [`Clock`] and [`ManualClock`], [`Random`] and [`SeededRandom`] (engines take time and chance as parameters),
//! [`Backoff`] (how long to leave alone who has failed), [`Observer`] and [`Event`] (what
//! monitoring listens to), [`Pressure`] (what samplers listen to), [`Env`] and [`BuildError`] (how settings are read and
//! refused), and [`semconv`] (the names and units of metrics and attributes).
//!
//! # Features and MSRV
//!
//! None. Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod batch;
mod build_error;
mod class;
mod clock;
mod drain_pace;
mod encode;
mod env;
mod export_error;
mod exporter;
mod ledger;
mod loss;
mod observer;
mod pressure;
mod random;
pub mod semconv;
mod store;
mod tail;

#[doc(inline)]
pub use self::{
    backoff::{Backoff, Jitter},
    batch::{ContentEncoding, EncodedBatch, Priority},
    build_error::BuildError,
    class::Class,
    clock::{Clock, ManualClock, SystemClock},
    drain_pace::{DrainPace, DrainPermit},
    encode::{Encode, RewriteTraceState, ScopeId},
    env::{Env, IgnoredVariable},
    export_error::{ErrorKind, ExportError},
    exporter::{BoxExporter, Exporter, Receipt},
    ledger::{Imbalance, Ledger, TailImbalance, TailLedger},
    loss::{LossCounts, LossReason},
    observer::{Event, NoopObserver, Observer},
    pressure::Pressure,
    random::{Random, SeededRandom},
    store::{NotStored, Store, StoreCounts, Stored},
    tail::{Ended, Held, Release, TailStage},
};

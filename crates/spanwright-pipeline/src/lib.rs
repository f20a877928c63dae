//! Assembly of a whole tracing pipeline, from `span.end()` to the collector, in one builder.
//!
//! It **is** what puts the parts together: the SDK's provider, our one processor under it, the exporters, and the settings of
//! all of them, from code and from the `OTEL_*` variables; and what ends them together, within one deadline. It **is not** any
//! of the parts: batching is in `spanwright-batching`, encoding and transport are in `spanwright-otlp`.
//!
//! ```
//! # #[cfg(feature = "grpc")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use opentelemetry::trace::Tracer;
//! use spanwright_pipeline::Pipeline;
//!
//! # let receiver = spanwright_testing::Receiver::spawn()?;
//! # let endpoint = receiver.grpc_endpoint();
//! let pipeline = Pipeline::builder().with_service_name("checkout").with_endpoint(endpoint).build()?;
//! pipeline.tracer("orders").in_span("place order", |_| { /* .. */ });
//!
//! let report = pipeline.shutdown(Duration::from_secs(5))?;
//! assert_eq!(report.destinations[0].exported, 1);
//! assert!(pipeline.stats().ledger().check().is_ok()); // ended == exported + rejected + lost + pending
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "grpc"))]
//! # fn main() {}
//! ```
//!
//! # The main types
//!
//! | for | type |
//! |---|---|
//! | settings | [`PipelineBuilder`], [`BatchConfig`], [`OverflowPolicy`], [`Env`], [`BuildError`] |
//! | a running pipeline | [`Pipeline`] |
//! | its end | [`PipelineGuard`], [`Report`], [`FlushError`] |
//! | several receivers, and how hard each is pressed | [`EndpointStrategy`], [`ConcurrencyLimit`], [`BreakerConfig`] |
//! | how it is | [`PipelineStats`], [`QueueMonitor`], [`Observer`], [`Pressure`] |
//!
//! # What holds
//!
//! - One processor, whatever the number of exporters: no span is ever cloned.
//! - Only sampled spans are exported. Those that were recorded but not sampled are counted, and go nowhere; unless there is a
//!   [tail sampler](PipelineBuilder::with_tail), which decides about both.
//! - Everything runs on the pipeline's own thread, so that the application may have any runtime or none, and may flush and shut
//!   down from anywhere: from async code, from its runtime's only thread, from `Drop`.
//! - Spans that end after [`Pipeline::shutdown`] are counted as lost. They would be lost in silence after the SDK's own
//!   `SdkTracerProvider::shutdown`: do not call that.
//! - The delivery of spans makes no spans, at whatever level the libraries below are traced.
//! - Code wins over the environment, and a variable that cannot be used is told and never stops a program.
//!
//! # Features and MSRV
//!
//! None is on by default. Without a transport, give the builder an exporter of your own.
//!
//! | feature | brings |
//! |---|---|
//! | `grpc` | OTLP over gRPC |
//! | `http` | OTLP over HTTP/1.1 with protobuf bodies |
//! | `tls` | https and client certificates for them |
//!
//! Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
#[cfg(any(feature = "grpc", feature = "http"))]
mod endpoints;
mod guard;
mod idle;
mod notice;
mod otel;
#[cfg(any(feature = "grpc", feature = "http"))]
mod otlp;
mod own_thread;
mod pipeline;
mod settings;
mod spool;
mod stats;

#[cfg(any(feature = "grpc", feature = "http"))]
#[doc(inline)]
pub use self::endpoints::{ConcurrencyLimit, EndpointStats, EndpointStrategy};
#[doc(inline)]
pub use self::{builder::PipelineBuilder, guard::PipelineGuard, pipeline::Pipeline, stats::PipelineStats};

// What the signatures above are made of, so that a user needs no second crate for it.
#[doc(no_inline)]
pub use spanwright_batching::{BatchConfig, FlushError, OverflowPolicy, QueueMonitor, Report, Stats};
#[doc(no_inline)]
pub use spanwright_core::{BuildError, Env, Exporter, IgnoredVariable, Observer, Pressure};
#[cfg(any(feature = "grpc", feature = "http"))]
#[doc(no_inline)]
pub use spanwright_otlp::{Compression, Pem, Protocol};
#[cfg(any(feature = "grpc", feature = "http"))]
#[doc(no_inline)]
pub use spanwright_resilience::{BreakerConfig, BreakerState};
#[doc(no_inline)]
pub use spanwright_sampling::{TailPolicy, TailSampler};
#[doc(no_inline)]
pub use spanwright_spool::{FullPolicy, Mode, SpoolConfig, SpoolStats};

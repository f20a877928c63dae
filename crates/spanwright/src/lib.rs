//! OpenTelemetry tracing for Rust services in production.
//!
//! Spanwright sits under the API that you use already, `opentelemetry` or `tracing`, and replaces what is slow or lossy below
//! it: the batch span processor, the OTLP encoder and exporter, and the blindness about what they do. It **is** a facade: this
//! crate has nothing of its own, and its parts can be taken alone. It **is not** another API to make spans with.
//!
//! - **Nothing is lost in silence.** `ended == exported + rejected + lost{reason} + pending`, exact, at every moment, to be read
//!   with [`Pipeline::stats`].
//! - **Cheap.** A span is turned into its bytes on the wire when it ends, where it ends: no clone, no second copy of it, no
//!   allocation. What the application's threads never do is wait.
//! - **At home everywhere.** Delivery has a thread and a runtime of its own: the service may be async, sync, or single-threaded,
//!   and may flush and shut down from anywhere.
//!
//! # Into a service
//!
//! ```no_run
//! # #[cfg(feature = "pipeline")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pipeline = spanwright::Pipeline::builder().with_service_name("checkout").build()?;
//!     let _guard = pipeline.install_global().guard(); // delivers the last spans when `main` ends
//!
//!     // Whatever uses `opentelemetry::global` now ends up at the collector on localhost:4317, or where `OTEL_*` says.
//!     use opentelemetry::trace::Tracer;
//!     opentelemetry::global::tracer("orders").in_span("place order", |_| { /* .. */ });
//!     Ok(())
//! }
//! # #[cfg(not(feature = "pipeline"))]
//! # fn main() {}
//! ```
//!
//! Under `tracing`, with `tracing-opentelemetry`:
//!
//! ```no_run
//! # #[cfg(feature = "pipeline")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     use tracing_subscriber::{filter::LevelFilter, prelude::*};
//!
//!     let pipeline = spanwright::Pipeline::builder().with_service_name("checkout").build()?;
//!     let _guard = pipeline.install_global().guard();
//!     let bridge = tracing_opentelemetry::layer().with_tracer(pipeline.tracer("checkout"));
//!     tracing_subscriber::registry().with(bridge.with_filter(LevelFilter::INFO)).init();
//!
//!     tracing::info_span!("place order", items = 3).in_scope(|| { /* .. */ });
//!     Ok(())
//! }
//! # #[cfg(not(feature = "pipeline"))]
//! # fn main() {}
//! ```
//!
//! # The main types
//!
//! | for | type |
//! |---|---|
//! | a whole pipeline | [`Pipeline`], [`PipelineBuilder`], [`PipelineGuard`] |
//! | its queue and its batches | [`batching::BatchConfig`], [`batching::OverflowPolicy`], [`batching::Stats`], [`batching::Report`] |
//! | its exporter | [`otlp::Protocol`], [`otlp::Compression`], [`otlp::Pem`] |
//! | which traces are kept, and how many each stands for | [`sampling::AdaptiveSampler`], [`sampling::RuleBased`], [`sampling::TailSampler`] |
//! | what to do about a receiver that is slow or away | [`resilience::CircuitBreaker`], [`resilience::AdaptiveRetryStrategy`], [`resilience::ResilientExporter`], [`resilience::TraceHash`] |
//! | requests on disk | [`spool::Spool`] |
//! | an exporter of your own, and who hears what happens | [`core::Exporter`], [`core::Observer`] |
//! | the SDK's provider with our processor, put together by hand | [`batching::BatchSpanProcessor`], [`otlp::SpanEncoder`], [`otlp::GrpcExporter`] |
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `pipeline` | [`Pipeline`]: all of it put together, with the `OTEL_*` variables | yes |
//! | `grpc` | OTLP over gRPC, for [`otlp`] and for the pipeline | yes |
//! | `http` | OTLP over HTTP/1.1 with protobuf bodies, for [`otlp`] and for the pipeline | yes |
//! | `tls` | https and client certificates, for the transports that are on | yes |
//! | `batching` | [`batching`]: per-thread buffers, the bounded queue, batches, the `SpanProcessor` | by `pipeline` |
//! | `otlp` | [`otlp`]: the encoder and, with `grpc` or `http`, the exporters | by `pipeline` |
//! | `resilience` | [`resilience`]: retry, retry budget, circuit breaker, adaptive concurrency, failover, traces divided among receivers | |
//! | `sampling` | [`sampling`]: every sampler, with regular expressions, documents that may change, remote strategies | |
//! | `spool` | [`spool`]: encoded requests on disk, safe from crashes | |
//! | `full` | everything | |
//!
//! All four are on by default because an operator chooses protocol and endpoint by variables, and cannot change what was left out
//! when the program was built.
//!
//! Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "batching")]
#[doc(inline)]
pub use spanwright_batching as batching;
#[doc(inline)]
pub use spanwright_core as core;
#[cfg(feature = "otlp")]
#[doc(inline)]
pub use spanwright_otlp as otlp;
#[cfg(feature = "pipeline")]
#[doc(inline)]
pub use spanwright_pipeline::{Pipeline, PipelineBuilder, PipelineGuard};
#[cfg(feature = "resilience")]
#[doc(inline)]
pub use spanwright_resilience as resilience;
#[cfg(feature = "sampling")]
#[doc(inline)]
pub use spanwright_sampling as sampling;
#[cfg(feature = "spool")]
#[doc(inline)]
pub use spanwright_spool as spool;

// The README's examples compile.
#[cfg(all(doctest, feature = "pipeline", feature = "sampling"))]
#[doc = include_str!("../../../README.md")]
mod readme {}

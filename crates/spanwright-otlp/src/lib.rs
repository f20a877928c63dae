//! OTLP: spans straight to protobuf bytes, and the gRPC and HTTP transports that deliver them.
//!
//! It **is** an encoder, which writes a finished span as one record of the wire format, and two exporters, which take a request
//! made of such records to a receiver and tell what became of it. It **is not** a queue, a retry, or a span processor: one call
//! of an exporter is one request. Who calls again, and when, is decided above it, by what the
//! [error](spanwright_core::ExportError) says is to be done.
//!
//! ```
//! # #[cfg(feature = "grpc")]
//! # mod example {
//! use opentelemetry_sdk::{Resource, trace::SpanData};
//! use spanwright_core::{Encode, EncodedBatch, Priority};
//! use spanwright_otlp::{Compression, GrpcExporter, SpanEncoder, SpanScratch};
//! use tower_service::Service;
//!
//! async fn deliver(resource: &Resource, span: &SpanData) -> Result<(), Box<dyn std::error::Error>> {
//!     let encoder = SpanEncoder::new(resource);
//!     let (mut record, mut header, mut head) = (Vec::new(), Vec::new(), Vec::new());
//!     let scope = encoder.encode(span, &mut SpanScratch::default(), &mut record);
//!     encoder.open_scope(scope, record.len(), &mut header);
//!     encoder.open_request(header.len() + record.len(), &mut head);
//!     let batch = EncodedBatch::new([head.into(), header.into(), record.into()], 1, Priority::Normal);
//!
//!     let mut exporter = GrpcExporter::builder().with_compression(Compression::Zstd).build()?;
//!     let receipt = exporter.call(batch).await?;
//!     println!("all taken but {}", receipt.rejected());
//!     Ok(())
//! }
//! # }
//! ```
//!
//! # The main types
//!
//! | what for | type |
//! |---|---|
//! | spans to bytes | [`SpanEncoder`], [`SpanScratch`], [`count_spans`] |
//! | one request into several | [`split_by_trace`], [`halve`] |
//! | bytes to a receiver | `GrpcExporter`, `HttpExporter`, both by `ExporterBuilder` |
//! | the specification's settings, and `OTEL_EXPORTER_OTLP_*` | `OtlpConfig`, `Endpoint`, `Headers`, `Pem`, `Protocol` |
//! | what compression costs and saves | `Compression`, `CompressionAnalyzer` |
//! | whether the receiver says that it is well | `ConnectionHealthChecker` |
//! | every default, and why | `defaults` |
//!
//! # What the transports do
//!
//! - **Nothing before the first request.** An exporter is built anywhere, without a runtime; names are resolved and connections
//!   made by the runtime that polls the first export. It needs Tokio with I/O and time.
//! - **No copy.** The segments of a batch go to the HTTP library as they are, behind the few bytes of framing; only segments of
//!   less than a kilobyte are copied together. Compression happens once per batch, for all attempts and all receivers.
//! - **One fallback.** A receiver that does not take the encoding gets the request again without it, at once; that is remembered,
//!   and told once. Nothing else is ever sent twice.
//! - **Bounds.** A request over the limit is not sent, an answer over the limit is not read to its end, and every request ends
//!   within its timeout.
//! - **No secrets.** Values of headers show in no error, no `Debug` and no ignored variable, also where a receiver repeats them.
//! - **No telemetry of its own.** Requests and the tasks behind them run with telemetry suppressed.
//!
//! # Features and MSRV
//!
//! | feature | brings |
//! |---|---|
//! | none | the encoder |
//! | `grpc` | `GrpcExporter` and `ConnectionHealthChecker`, on tonic's channel |
//! | `http` | `HttpExporter`: protobuf over HTTP/1.1, on hyper |
//! | `tls` | https and client certificates for both, on rustls with ring |
//!
//! Rust 1.88.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "_transport")]
mod answer;
#[cfg(feature = "_transport")]
mod body;
#[cfg(feature = "_transport")]
mod builder;
#[cfg(feature = "_transport")]
mod classify;
#[cfg(feature = "_transport")]
mod compression;
#[cfg(feature = "_transport")]
mod config;
#[cfg(feature = "_transport")]
pub mod defaults;
#[cfg(feature = "_transport")]
mod delivery;
mod encode;
#[cfg(feature = "_transport")]
mod exporter;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod otel;
#[cfg(feature = "_transport")]
mod percent;
#[cfg(feature = "_transport")]
mod suppressed;
#[cfg(feature = "_transport")]
mod transport;

#[doc(inline)]
pub use self::encode::{SpanEncoder, SpanEncoderBuilder, SpanScratch, count_spans, halve, split_by_trace};
#[cfg(feature = "grpc")]
#[doc(inline)]
pub use self::grpc::{ConnectionHealthChecker, GrpcExporter, Health};
#[cfg(feature = "http")]
#[doc(inline)]
pub use self::http::HttpExporter;
#[cfg(feature = "_transport")]
#[doc(inline)]
pub use self::{
    builder::ExporterBuilder,
    compression::{Compression, CompressionAnalyzer, CompressionStats},
    config::{Endpoint, Headers, OtlpConfig, Pem, Protocol},
    delivery::ExportFuture,
};

//! OTLP: spans straight to protobuf bytes, and the gRPC and HTTP transports that deliver them.
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
pub use self::encode::{SpanEncoder, SpanEncoderBuilder, SpanScratch, count_spans};
#[cfg(feature = "_transport")]
#[doc(inline)]
pub use self::{
    builder::ExporterBuilder,
    compression::{Compression, CompressionAnalyzer, CompressionStats},
    config::{Endpoint, Headers, OtlpConfig, Pem, Protocol},
    delivery::ExportFuture,
};
#[cfg(feature = "grpc")]
#[doc(inline)]
pub use self::grpc::{ConnectionHealthChecker, GrpcExporter, Health};
#[cfg(feature = "http")]
#[doc(inline)]
pub use self::http::HttpExporter;

//! OTLP: spans straight to protobuf bytes, and the gRPC and HTTP transports that deliver them.
#![forbid(unsafe_code)]

mod encode;
mod otel;

#[doc(inline)]
pub use self::encode::{SpanEncoder, SpanEncoderBuilder, SpanScratch, count_spans};

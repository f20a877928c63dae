//! Making a message smaller, once.

mod analyzer;
mod compressor;

use std::fmt;

use spanwright_core::ContentEncoding;

pub use self::analyzer::{CompressionAnalyzer, CompressionStats};
pub(crate) use self::compressor::Compressor;

/// How requests are compressed. Every batch is compressed once, however often it is sent and to however many receivers.
///
/// A receiver that refuses the encoding gets the request again without it, and all later ones: see
/// [`Event::EncodingRefused`](spanwright_core::Event::EncodingRefused).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Compression {
    /// Bytes as they are. Right within a machine or a rack, where bandwidth costs less than CPU time.
    #[default]
    None,
    /// What every receiver understands, at [`GZIP_LEVEL`](crate::defaults::GZIP_LEVEL).
    Gzip,
    /// Smaller and faster than gzip, at [`ZSTD_LEVEL`](crate::defaults::ZSTD_LEVEL). The Collector understands it, some others do not.
    Zstd,
}

impl Compression {
    /// The value of `OTEL_EXPORTER_OTLP_COMPRESSION` that means it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Reads a value of `OTEL_EXPORTER_OTLP_COMPRESSION`, in any case.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Zstd]
            .into_iter()
            .find(|known| value.eq_ignore_ascii_case(known.as_str()))
    }

    pub(crate) const fn encoding(self) -> ContentEncoding {
        match self {
            Self::None => ContentEncoding::Identity,
            Self::Gzip => ContentEncoding::Gzip,
            Self::Zstd => ContentEncoding::Zstd,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

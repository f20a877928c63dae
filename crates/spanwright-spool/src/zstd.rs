//! Compressed payloads.

use std::io;

use bytes::Bytes;

use crate::format::MAX_PAYLOAD;

/// A payload under zstd, as it was.
#[cfg(feature = "zstd")]
pub(crate) fn decompress(payload: &[u8]) -> io::Result<Bytes> {
    use std::io::Read;
    let mut whole = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(payload)?;
    decoder.take(MAX_PAYLOAD + 1).read_to_end(&mut whole)?;
    if whole.len() as u64 > MAX_PAYLOAD {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(whole.into())
}

/// Without the feature no directory with such a payload is opened.
#[cfg(not(feature = "zstd"))]
pub(crate) fn decompress(payload: &[u8]) -> io::Result<Bytes> {
    let _ = (payload, MAX_PAYLOAD);
    Err(io::ErrorKind::Unsupported.into())
}

/// The batch's segments under zstd, in one piece.
#[cfg(feature = "zstd")]
pub(crate) fn compress(segments: &[Bytes]) -> io::Result<Bytes> {
    use std::io::Write;
    // As on the wire: the next levels save next to nothing on spans.
    const LEVEL: i32 = 1;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    segments.iter().try_for_each(|segment| encoder.write_all(segment))?;
    Ok(encoder.finish()?.into())
}

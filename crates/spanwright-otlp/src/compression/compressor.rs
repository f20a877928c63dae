//! Compressors that keep their working memory.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::{Compress, FlushCompress, Status};
use spanwright_core::ContentEncoding;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use crate::defaults::{GZIP_LEVEL, ZSTD_LEVEL};

/// The log2 of gzip's window: 32 KiB, the largest that the format has.
const GZIP_WINDOW_BITS: u8 = 15;

/// The step by which the output grows.
const STEP: usize = 16 << 10;

/// Output buffers above this are not kept from one batch to the next.
const MAX_KEPT: usize = 4 << 20;

/// Compresses messages one after the other, or several at once, without setting up a compressor for each.
///
/// # Cost
///
/// One allocation, of the result's exact size. A compressor is made for the first message, and another only where two are
/// compressed at the same moment on different threads.
pub(crate) struct Compressor {
    encoding: ContentEncoding,
    idle: Mutex<Vec<Worker>>,
}

struct Worker {
    format: Format,
    output: Vec<u8>,
}

enum Format {
    Gzip(Compress),
    Zstd(Encoder<'static>),
}

impl Compressor {
    pub(crate) fn new(encoding: ContentEncoding) -> Self {
        Self {
            encoding,
            idle: Mutex::default(),
        }
    }

    /// Compresses `segments`, one after the other, to one message. For `Identity` (and encodings that do not exist yet) it is an error.
    pub(crate) fn compress(&self, segments: &[Bytes]) -> io::Result<Bytes> {
        let idle = self.idle().pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => Worker::new(self.encoding)?,
        };
        let compressed = worker.run(segments)?;
        // A worker that failed is in an unknown state, and is gone by the `?` above.
        self.idle().push(worker);
        Ok(compressed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

impl Worker {
    fn new(encoding: ContentEncoding) -> io::Result<Self> {
        let format = match encoding {
            ContentEncoding::Gzip => Format::Gzip(Compress::new_gzip(
                flate2::Compression::new(GZIP_LEVEL),
                GZIP_WINDOW_BITS,
            )),
            ContentEncoding::Zstd => Format::Zstd(Encoder::new(ZSTD_LEVEL)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self {
            format,
            output: Vec::new(),
        })
    }

    fn run(&mut self, segments: &[Bytes]) -> io::Result<Bytes> {
        let Self { format, output } = self;
        output.clear();
        match format {
            Format::Gzip(compress) => gzip(compress, segments, output)?,
            Format::Zstd(encoder) => zstd(encoder, segments, output)?,
        }
        let compressed = Bytes::copy_from_slice(output);
        if output.capacity() > MAX_KEPT {
            *output = Vec::new();
        }
        Ok(compressed)
    }
}

fn gzip(compress: &mut Compress, segments: &[Bytes], output: &mut Vec<u8>) -> io::Result<()> {
    compress.reset();
    for segment in segments {
        let mut input = &segment[..];
        while !input.is_empty() {
            output.reserve(STEP);
            let before = compress.total_in();
            compress.compress_vec(input, output, FlushCompress::None)?;
            let taken = usize::try_from(compress.total_in() - before).map_err(io::Error::other)?;
            input = &input[taken..];
        }
    }
    loop {
        output.reserve(STEP);
        if compress.compress_vec(&[], output, FlushCompress::Finish)? == Status::StreamEnd {
            return Ok(());
        }
    }
}

fn zstd(encoder: &mut Encoder<'static>, segments: &[Bytes], output: &mut Vec<u8>) -> io::Result<()> {
    let len: usize = segments.iter().map(Bytes::len).sum();
    // With the size in the frame's header, a receiver can check it against its limit before it unpacks anything.
    encoder.set_pledged_src_size(Some(len as u64))?;
    for segment in segments {
        let mut input = InBuffer::around(segment);
        while input.pos() < segment.len() {
            output.reserve(STEP);
            let end = output.len();
            encoder.run(&mut input, &mut OutBuffer::around_pos(output, end))?;
        }
    }
    loop {
        output.reserve(STEP);
        let end = output.len();
        if encoder.finish(&mut OutBuffer::around_pos(output, end), true)? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Segments of text that repeats, and of noise that does not, so that the output is longer than one step.
    fn segments(seed: u32) -> Vec<Bytes> {
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        vec![
            Bytes::from_static(b"head"),
            Bytes::from(b"http.request.method".repeat(5_000)),
            Bytes::new(),
            (0..100_000).map(|_| noise()).collect(),
        ]
    }

    fn decompress(encoding: ContentEncoding, bytes: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        match encoding {
            ContentEncoding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut whole).map(|_| ()),
            _ => zstd::stream::copy_decode(bytes, &mut whole),
        }
        .unwrap();
        whole
    }

    #[test]
    fn what_is_compressed_is_what_comes_out_also_of_a_used_compressor() {
        for encoding in [ContentEncoding::Gzip, ContentEncoding::Zstd] {
            let compressor = Compressor::new(encoding);
            for seed in 0..3 {
                let segments = segments(seed);
                let compressed = compressor.compress(&segments).unwrap();
                assert_eq!(decompress(encoding, &compressed), segments.concat(), "{encoding}");
                assert!(compressed.len() < 110_000);
            }
            assert_eq!(compressor.idle().len(), 1, "one compressor was enough");
            assert_eq!(decompress(encoding, &compressor.compress(&[]).unwrap()), b"");
        }
    }

    #[test]
    fn the_result_is_of_its_exact_size() {
        let compressor = Compressor::new(ContentEncoding::Zstd);
        let compressed = compressor.compress(&segments(0)).unwrap();
        let whole = compressed.try_into_mut().unwrap();
        assert_eq!(whole.capacity(), whole.len());
    }

    #[test]
    fn zstd_names_the_size_of_what_is_in_it() {
        let segments = segments(0);
        let compressed = Compressor::new(ContentEncoding::Zstd).compress(&segments).unwrap();
        let size = zstd::zstd_safe::get_frame_content_size(&compressed).unwrap();
        assert_eq!(size, Some(segments.concat().len() as u64));
    }

    #[test]
    fn identity_is_nothing_to_compress_with() {
        assert!(Compressor::new(ContentEncoding::Identity).compress(&[]).is_err());
    }
}

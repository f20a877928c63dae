//! Requests to disk and back, beside plain files of the same bytes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use spanwright_core::{Clock, EncodedBatch, Priority, SystemClock};
use spanwright_spool::{Spool, SpoolConfig};
use spanwright_testing::ScratchDir;

use crate::command::Failure;
use crate::sample::Sample;
use crate::settings::{Settings, Side};

/// Spans of a request, and the bytes of one: those of the span of the figures.
const SPANS: usize = 512;
const SPAN_BYTES: usize = 372;
/// The chunks that a request is made of.
const SEGMENTS: usize = 6;
/// Requests that are not timed.
const WARM_UP: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes requests, as a processor does that cannot deliver them. Stock: appends the same bytes to one file.
pub(crate) fn write(settings: &Settings) -> Result<Sample, Failure> {
    let directory = ScratchDir::new()?;
    let mut sink = Sink::open(settings.side, directory.path())?;
    let batch = request();
    (0..WARM_UP).try_for_each(|_| sink.write(&batch))?;
    let start = SystemClock.now();
    (0..settings.batches).try_for_each(|_| sink.write(&batch))?;
    let took = SystemClock.now() - start;
    sink.close()?;
    Ok(Sample::default()
        .with_ns("wall_ns", took)
        .with("measured", settings.batches * SPANS))
}

/// How often a write asks for memory. Under [`CountingAllocator`](spanwright_testing::CountingAllocator) only.
pub(crate) fn allocations(settings: &Settings) -> Result<Sample, Failure> {
    let directory = ScratchDir::new()?;
    let mut sink = Sink::open(settings.side, directory.path())?;
    let batch = request();
    (0..WARM_UP).try_for_each(|_| sink.write(&batch))?;
    let mut count = 0;
    for _ in 0..settings.batches {
        let mut written = Ok(());
        count += spanwright_testing::allocations(|| written = sink.write(&batch)).count;
        written?;
    }
    sink.close()?;
    Ok(Sample::default()
        .with("allocations", count)
        .with("measured", settings.batches * SPANS))
}

/// Finds out what an earlier process left: some hundred thousand requests, or as many bytes as are asked for. Stock: reads the files.
pub(crate) fn recover(settings: &Settings) -> Result<Sample, Failure> {
    let directory = ScratchDir::new()?;
    let batch = request();
    let mut sink = Sink::open(Side::Ours, directory.path())?;
    (0..settings.batches).try_for_each(|_| sink.write(&batch))?;
    sink.close()?;

    let start = SystemClock.now();
    let found = match settings.side {
        Side::Ours => spool(directory.path())?.stats().recovered,
        _ => read_all(directory.path())?,
    };
    let took = SystemClock.now() - start;
    let least = (settings.batches * SPANS) as u64;
    if found < least {
        return Err(format!("{found} found of {least}").into());
    }
    Ok(Sample::default()
        .with_ns("wall_ns", took)
        .with("bytes", settings.batches * SPANS * SPAN_BYTES))
}

/// Where requests go.
enum Sink {
    Spool(Spool),
    File(File),
}

impl Sink {
    fn open(side: Side, directory: &Path) -> Result<Self, Failure> {
        Ok(match side {
            Side::Ours => Self::Spool(spool(directory)?),
            Side::Stock | Side::Noop => Self::File(File::create(directory.join("plain"))?),
        })
    }

    fn write(&mut self, batch: &EncodedBatch) -> Result<(), Failure> {
        match self {
            Self::Spool(spool) => spool.write(batch.clone()).map(drop).map_err(Failure::from),
            Self::File(file) => batch
                .segments()
                .iter()
                .try_for_each(|segment| file.write_all(segment))
                .map_err(Failure::from),
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Self::Spool(spool) => spool.shutdown(PATIENCE).map(drop).map_err(Failure::from),
            Self::File(file) => file.sync_all().map_err(Failure::from),
        }
    }
}

fn spool(directory: &Path) -> Result<Spool, Failure> {
    let config = SpoolConfig::new(directory).with_max_bytes(64 << 30);
    Ok(Spool::builder("").with_config(config).spawn()?)
}

fn request() -> EncodedBatch {
    let segment = Bytes::from(vec![0x2a; SPANS * SPAN_BYTES / SEGMENTS]);
    EncodedBatch::new(vec![segment; SEGMENTS], SPANS, Priority::Normal)
}

/// The bytes of all files.
fn read_all(directory: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            read_all(&entry.path())?
        } else {
            fs::read(entry.path())?.len() as u64
        };
    }
    Ok(bytes)
}

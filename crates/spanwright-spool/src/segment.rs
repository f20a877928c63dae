//! What is known of one segment file while it is in use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use spanwright_core::Priority;

use crate::format::{
    Damage, Found, SEGMENT_HEADER_LEN, Scanner, SegmentHeader, read_exact_at, segment_header, segment_name,
};
use crate::fs::{Fs, FsFile};
use crate::ranges::Ranges;

/// One segment file. Its records lie between the header and `len`; what is not in `settled` of these is pending.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) seq: u64,
    pub(crate) path: PathBuf,
    /// Open while it is written, and while it is read.
    pub(crate) file: Option<Arc<dyn FsFile>>,
    /// The highest priority in it.
    pub(crate) lane: Priority,
    /// Nothing more is written to it.
    pub(crate) is_sealed: bool,
    /// Its name in the directory is durable.
    pub(crate) is_named: bool,
    /// A sync of it has failed: it may never become durable, whatever a second one would answer.
    pub(crate) is_suspect: bool,
    /// It could not be read: instead of being removed it is kept as damaged.
    pub(crate) is_bad: bool,
    /// It has compressed records.
    pub(crate) needs_zstd: bool,
    /// Its removal waits for the cursor.
    pub(crate) is_doomed: bool,
    pub(crate) len: u64,
    /// Up to where it is durable.
    pub(crate) synced: u64,
    /// What it takes on disk.
    pub(crate) size: u64,
    pub(crate) settled: Ranges,
    pub(crate) read_at: u64,
    /// The time of the record at `read_at`, once it was looked at.
    pub(crate) head_time: Option<u64>,
    pub(crate) pending: Pending,
    pub(crate) created: u64,
    /// The latest time of its records.
    pub(crate) newest: u64,
    pub(crate) failed_reads: u32,
    pub(crate) not_before: Option<Instant>,
}

/// Records and items that are not settled.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Pending {
    pub(crate) records: u64,
    pub(crate) items: u64,
}

/// What was found in a file with a segment's name.
#[derive(Debug)]
pub(crate) enum Recovered {
    /// A segment, and what is damaged in it.
    Segment(Box<Segment>, Vec<Damage>),
    /// The beginning of a file that was never written: to be removed.
    Empty,
    /// Somebody else's file: not to be touched.
    Foreign,
    /// A later version's file: not to be touched.
    Newer(u32),
}

impl Segment {
    /// Makes the file, with its header. It has no durable name before the next sync of the directory.
    pub(crate) fn create(fs: &dyn Fs, dir: &Path, seq: u64, lane: Priority, now: u64) -> io::Result<Self> {
        let path = dir.join(segment_name(seq));
        let file = fs.create(&path)?;
        let header = segment_header(now);
        match append_all(&*file, &mut [io::IoSlice::new(&header)]) {
            Ok(()) => {}
            Err(error) => {
                // Best effort: what stays is the beginning of a header, which is known as such.
                let _ = fs.remove_file(&path);
                return Err(error);
            }
        }
        Ok(Self {
            file: Some(file),
            is_sealed: false,
            is_named: false,
            synced: 0,
            ..Self::new(path, seq, lane, now)
        })
    }

    fn new(path: PathBuf, seq: u64, lane: Priority, created: u64) -> Self {
        Self {
            seq,
            path,
            file: None,
            lane,
            is_sealed: true,
            is_named: true,
            is_suspect: false,
            is_bad: false,
            needs_zstd: false,
            is_doomed: false,
            len: SEGMENT_HEADER_LEN,
            synced: SEGMENT_HEADER_LEN,
            size: SEGMENT_HEADER_LEN,
            settled: Ranges::default(),
            read_at: SEGMENT_HEADER_LEN,
            head_time: None,
            pending: Pending::default(),
            created,
            newest: 0,
            failed_reads: 0,
            not_before: None,
        }
    }

    /// Reads a file that an earlier process left. `settled` is what the cursor knows of it.
    pub(crate) fn recover(fs: &dyn Fs, dir: &Path, seq: u64, settled: Ranges) -> io::Result<Recovered> {
        let path = dir.join(segment_name(seq));
        let file = fs.open(&path)?;
        let size = file.size()?;
        let mut head = vec![0; size.min(SEGMENT_HEADER_LEN) as usize];
        read_exact_at(&*file, &mut head, 0)?;
        let header = SegmentHeader::parse(&head);
        match header {
            SegmentHeader::Newer { version } => return Ok(Recovered::Newer(version)),
            SegmentHeader::Unknown if size < SEGMENT_HEADER_LEN => return Ok(Recovered::Foreign),
            SegmentHeader::Incomplete if size <= SEGMENT_HEADER_LEN => return Ok(Recovered::Empty),
            _ => {}
        }
        let mut segment = Self {
            len: size,
            size,
            // Whoever wrote it may have died before a sync.
            synced: 0,
            is_named: false,
            settled,
            ..Self::new(path, seq, Priority::Normal, 0)
        };
        let mut damages = Vec::new();
        let mut oldest = None;
        let mut scanner = Scanner::new(&*file, SEGMENT_HEADER_LEN, size, true);
        let mut at = SEGMENT_HEADER_LEN;
        loop {
            at = segment.settled.skip(at);
            scanner.jump(at);
            at = match scanner.step()? {
                Found::End => break,
                Found::Record { header, end, .. } => {
                    segment.pending.records += 1;
                    segment.pending.items += u64::from(header.items);
                    segment.newest = segment.newest.max(header.time);
                    segment.lane = segment.lane.max(header.kind.priority);
                    segment.needs_zstd |= header.kind.is_zstd;
                    oldest.get_or_insert(header.time);
                    end
                }
                Found::Damage(damage) => {
                    damages.push(damage);
                    damage.end
                }
            };
        }
        segment.created = match header {
            SegmentHeader::Valid { created } => created,
            // Records vouch for the file, also damaged ones whose lengths lead on to the end; without one it is whoever's.
            SegmentHeader::Unknown if segment.pending.records == 0 && damages.iter().all(|damage| damage.is_torn) => {
                return Ok(Recovered::Foreign);
            }
            SegmentHeader::Incomplete if oldest.is_none() && damages.iter().all(|damage| damage.records == 0) => {
                return Ok(Recovered::Empty);
            }
            _ => oldest.unwrap_or(0),
        };
        segment.read_at = segment.settled.skip(SEGMENT_HEADER_LEN);
        segment.head_time = oldest;
        Ok(Recovered::Segment(Box::new(segment), damages))
    }

    /// Whether nothing of it is pending.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.skip(SEGMENT_HEADER_LEN) >= self.len
    }

    /// Whether it has been read to its end.
    pub(crate) fn is_read(&self) -> bool {
        self.read_at >= self.len
    }

    /// The age by which it is ordered among others: that of the record that is to be read next.
    pub(crate) fn order(&self) -> u64 {
        self.head_time.unwrap_or(self.created)
    }

    /// The file, opened where it is not.
    pub(crate) fn open(&mut self, fs: &dyn Fs) -> io::Result<Arc<dyn FsFile>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = fs.open(&self.path)?;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// Appends all of `parts`.
pub(crate) fn append_all(file: &dyn FsFile, mut parts: &mut [io::IoSlice<'_>]) -> io::Result<()> {
    io::IoSlice::advance_slices(&mut parts, 0); // leaves out what is empty
    while !parts.is_empty() {
        match file.append(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => io::IoSlice::advance_slices(&mut parts, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

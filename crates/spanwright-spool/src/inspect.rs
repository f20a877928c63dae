//! Looking at a spool's files without touching them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::format::{Found, SEGMENT_HEADER_LEN, Scanner, SegmentHeader, parse_segment, parse_volume, read_exact_at};
use crate::fs::Fs;
use crate::now::time_of;
use crate::volume::{DamageTotal, Known, OpenError};
use crate::zstd::decompress;

/// What is in a spool's directory.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Inspection {
    /// One for each process that left something, or is at work there.
    pub directories: Vec<InspectedDirectory>,
}

/// What is in one directory of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Its segments, the oldest first.
    pub segments: Vec<InspectedSegment>,
    /// Files of damaged bytes that are kept.
    pub bad_files: u64,
    /// Their size.
    pub bad_bytes: u64,
    /// Whether the cursor can be read. Without it everything counts as pending.
    pub is_cursor_readable: bool,
}

/// One segment file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InspectedSegment {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub state: SegmentState,
    /// Its size.
    pub bytes: u64,
    /// When it was made.
    pub created: Option<SystemTime>,
    /// When the first and the last of its pending requests were written.
    pub written: Option<(SystemTime, SystemTime)>,
    /// Requests that wait to be delivered.
    pub pending_records: u64,
    /// Their items.
    pub pending_items: u64,
    /// What cannot be read. In a directory that is in use the youngest bytes may be a request that is being written.
    pub damage: DamageTotal,
}

/// What a file with the name of a segment is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SegmentState {
    /// Ours, with a damaged header. Its records stand for themselves.
    DamagedHeader,
    /// Somebody else's.
    Foreign,
    /// The beginning of a file that was never written.
    Incomplete,
    /// Of a later version of this crate.
    Newer(u32),
    /// A segment.
    Whole,
}

impl Inspection {
    /// Everything, added up: pending records, pending items, bytes of segments, damage.
    #[must_use]
    pub fn total(&self) -> (u64, u64, u64, DamageTotal) {
        let segments = self.directories.iter().flat_map(|directory| &directory.segments);
        segments.fold(Default::default(), |(records, items, bytes, mut damage), segment| {
            damage.records += segment.damage.records;
            damage.items += segment.damage.items;
            damage.bytes += segment.damage.bytes;
            (
                records + segment.pending_records,
                items + segment.pending_items,
                bytes + segment.bytes,
                damage,
            )
        })
    }
}

/// Looks at a spool's directory, or at that of a pipeline, in which each destination has one. Takes no lock and changes nothing, so
/// that it may be in use.
///
/// With `is_verifying` every checksum is computed; else records are counted by their headers, at the cost of reading these.
///
/// # Errors
///
/// The directory cannot be read. What cannot be read in it is told as damage.
pub fn inspect(fs: &dyn Fs, directory: &Path, is_verifying: bool) -> io::Result<Inspection> {
    visit(fs, directory, is_verifying, &mut None)
}

/// Writes every pending request to `out`, the oldest segment of each directory first: its length in four bytes, big-endian, then its
/// bytes. Answers what was found, and how many requests and items were written.
///
/// For OTLP that is a file of `ExportTraceServiceRequest` messages. Changes nothing: what was exported is still pending.
///
/// # Errors
///
/// The directory cannot be read, or `out` cannot be written to.
pub fn export(fs: &dyn Fs, directory: &Path, out: &mut dyn Write) -> io::Result<(Inspection, u64, u64)> {
    let (mut records, mut items) = (0, 0);
    let mut write = |count: u32, payload: &[u8]| {
        out.write_all(&(payload.len() as u32).to_be_bytes())?;
        out.write_all(payload)?;
        records += 1;
        items += u64::from(count);
        Ok(())
    };
    let inspection = visit(fs, directory, true, &mut Some(&mut write))?;
    Ok((inspection, records, items))
}

/// What is done with each pending payload, if it is to be read at all.
type Visit<'a, 'b> = &'a mut Option<&'b mut dyn FnMut(u32, &[u8]) -> io::Result<()>>;

fn visit(fs: &dyn Fs, directory: &Path, is_verifying: bool, visit: Visit<'_, '_>) -> io::Result<Inspection> {
    let mut paths = volumes_in(fs, directory)?;
    // That of a pipeline has a spool for each destination.
    for entry in fs.list(directory)? {
        if entry.is_dir && parse_volume(&entry.name).is_none() {
            paths.extend(volumes_in(fs, &directory.join(entry.name)).unwrap_or_default());
        }
    }
    paths.sort_unstable();
    let directories = paths
        .into_iter()
        .map(|path| visit_directory(fs, path, is_verifying, visit))
        .collect::<io::Result<_>>()?;
    Ok(Inspection { directories })
}

fn volumes_in(fs: &dyn Fs, directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs.list(directory)?.into_iter();
    let volumes = entries.filter(|entry| entry.is_dir && parse_volume(&entry.name).is_some());
    Ok(volumes.map(|entry| directory.join(entry.name)).collect())
}

fn visit_directory(
    fs: &dyn Fs,
    path: PathBuf,
    is_verifying: bool,
    visit: Visit<'_, '_>,
) -> io::Result<InspectedDirectory> {
    let known = match Known::read(fs, &path) {
        Ok(known) => known,
        Err(OpenError::Io(error)) => return Err(error),
        // Its segments say of which version it is.
        Err(OpenError::Newer(_) | OpenError::NeedsZstd) => Known::default(),
    };
    let mut inspected = InspectedDirectory {
        segments: Vec::new(),
        bad_files: 0,
        bad_bytes: 0,
        is_cursor_readable: !known.is_damaged,
        path,
    };
    let mut entries = fs.list(&inspected.path)?;
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    for entry in entries {
        if entry.name.ends_with(".bad") {
            inspected.bad_files += 1;
            inspected.bad_bytes += entry.size;
        } else if let Some(seq) = parse_segment(&entry.name) {
            let path = inspected.path.join(&entry.name);
            match visit_segment(fs, path, seq, &known, is_verifying, visit) {
                Ok(segment) => inspected.segments.push(segment),
                // Delivered and removed while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(inspected)
}

fn visit_segment(
    fs: &dyn Fs,
    path: PathBuf,
    seq: u64,
    known: &Known,
    is_verifying: bool,
    visit: Visit<'_, '_>,
) -> io::Result<InspectedSegment> {
    let file = fs.open(&path)?;
    let size = file.size()?;
    let mut head = vec![0; size.min(SEGMENT_HEADER_LEN) as usize];
    read_exact_at(&*file, &mut head, 0)?;
    let header = SegmentHeader::parse(&head);
    let (state, created) = match header {
        SegmentHeader::Valid { created } => (SegmentState::Whole, Some(time_of(created))),
        SegmentHeader::Newer { version } => (SegmentState::Newer(version), None),
        SegmentHeader::Incomplete if size <= SEGMENT_HEADER_LEN => (SegmentState::Incomplete, None),
        SegmentHeader::Incomplete | SegmentHeader::Damaged | SegmentHeader::Unknown => {
            (SegmentState::DamagedHeader, None)
        }
    };
    let mut segment = InspectedSegment {
        path,
        state,
        bytes: size,
        created,
        written: None,
        pending_records: 0,
        pending_items: 0,
        damage: DamageTotal::default(),
    };
    if matches!(state, SegmentState::Newer(_) | SegmentState::Incomplete) {
        return Ok(segment);
    }
    let settled = known.settled(seq);
    let mut is_vouched_for = false;
    let mut scanner = Scanner::new(&*file, SEGMENT_HEADER_LEN, size, is_verifying);
    let mut at = SEGMENT_HEADER_LEN;
    loop {
        at = settled.skip(at);
        scanner.jump(at);
        at = match scanner.step()? {
            Found::End => break,
            Found::Damage(damage) => {
                segment.damage.add(&damage);
                is_vouched_for |= !damage.is_torn;
                damage.end
            }
            Found::Record { header, at, end } => {
                segment.pending_records += 1;
                segment.pending_items += u64::from(header.items);
                let time = time_of(header.time);
                let (first, last) = segment.written.unwrap_or((time, time));
                segment.written = Some((first.min(time), last.max(time)));
                if let Some(visit) = visit.as_mut() {
                    let payload = scanner.payload(at, end)?;
                    if header.kind.is_zstd {
                        visit(header.items, &decompress(payload)?)?;
                    } else {
                        visit(header.items, payload)?;
                    }
                }
                end
            }
        };
    }
    if header == SegmentHeader::Unknown && segment.pending_records == 0 && !is_vouched_for {
        segment.state = SegmentState::Foreign;
        segment.damage = DamageTotal::default();
    }
    Ok(segment)
}

//! A directory of segments that one process has locked: its own, or one that a dead process left.

mod acks;
mod cursor_file;
mod known;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwright_core::Priority;

use self::acks::AckLog;
use crate::format::{
    ACKS, ACKS_NEW, CURSOR, CURSOR_NEW, Cursor, Damage, LOCK, Range, SEGMENT_HEADER_LEN, bad_name, parse_segment,
    read_exact_at, segment_name, volume_name,
};
use crate::fs::{Fs, FsFile};
use crate::ranges::Ranges;
use crate::segment::{Pending, Recovered, Segment, append_all};

pub(crate) use self::{
    cursor_file::{CursorFile, Snapshot},
    known::Known,
};

/// How many damaged bytes a directory keeps for a person to look at. What goes beyond is counted only.
const MAX_BAD_BYTES: u64 = 16 << 20;
/// How often a number is tried that another process is faster at.
const MAX_ATTEMPTS: usize = 1000;

/// A locked directory.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) number: u32,
    pub(crate) dir: PathBuf,
    lock: Arc<dyn FsFile>,
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Files with a segment's name that are none now. They may be again, and are neither settled nor pending until then.
    held: BTreeMap<u64, Held>,
    /// The segment that each lane writes to.
    pub(crate) active: [Option<u64>; Priority::ALL.len()],
    pub(crate) next_seq: u64,
    /// Something was settled that the cursor does not know.
    pub(crate) is_cursor_dirty: bool,
    /// A file was made whose name is not durable yet.
    pub(crate) is_dir_dirty: bool,
    /// The directory was taken away under us. What is open can still be read.
    pub(crate) is_detached: bool,
    /// How many damaged bytes are kept in it.
    bad_bytes: u64,
    acks: AckLog,
    pub(crate) cursor_file: Arc<CursorFile>,
}

/// A file that may be a segment.
#[derive(Debug)]
struct Held {
    /// What is settled of it if it is.
    settled: Ranges,
    /// The disk did not let us read it; else what is in it is no segment's.
    is_unreadable: bool,
}

/// What was found when a directory was opened.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) pending: Pending,
    pub(crate) damage: DamageTotal,
    /// Files with a segment's name that are somebody else's.
    pub(crate) foreign: u64,
    /// What the disk said of segments that it did not let us read.
    pub(crate) unreadable: Vec<Arc<io::Error>>,
    /// What the segments take on the disk.
    pub(crate) bytes: u64,
    /// The cursor could not be read: what was delivered may be delivered again.
    pub(crate) is_cursor_lost: bool,
}

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DamageTotal {
    /// Records, as far as they can be told apart.
    pub records: u64,
    /// Items, by the headers of these.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

impl DamageTotal {
    pub(crate) fn add(&mut self, damage: &Damage) {
        self.records += damage.records;
        self.items += damage.items;
        self.bytes += damage.end - damage.at;
    }
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(io::Error),
    /// It is of a later version of this crate.
    Newer(u32),
    /// It has compressed records, and this build cannot read any.
    NeedsZstd,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Volume {
    /// Makes and locks a directory in `root` that nobody has.
    pub(crate) fn create(fs: &dyn Fs, root: &Path) -> io::Result<Self> {
        fs.create_dir(root)?;
        let taken: Vec<String> = fs.list(root)?.into_iter().map(|entry| entry.name).collect();
        let free = (1..=u32::MAX).filter(|number| !taken.contains(&volume_name(*number)));
        // Another process may be at the same place. Each number that it is faster at is one attempt.
        for number in free.take(MAX_ATTEMPTS) {
            let dir = root.join(volume_name(number));
            fs.create_dir(&dir)?;
            let lock = match fs.try_lock(&dir.join(LOCK)) {
                Ok(lock) => lock,
                // It was made, found without a lock, and removed again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let Some(lock) = lock else { continue };
            fs.sync_dir(root)?;
            if let Some(above) = root.parent() {
                // Best effort: what is above was there before us, or its maker has not made it durable either.
                let _ = fs.sync_dir(above);
            }
            return Ok(Self::new(number, dir, lock));
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Locks the directory, if nobody has it.
    pub(crate) fn try_lock(fs: &dyn Fs, root: &Path, number: u32) -> io::Result<Option<Self>> {
        let dir = root.join(volume_name(number));
        let lock = fs.try_lock(&dir.join(LOCK))?;
        Ok(lock.map(|lock| Self::new(number, dir, lock)))
    }

    fn new(number: u32, dir: PathBuf, lock: Arc<dyn FsFile>) -> Self {
        Self {
            number,
            dir,
            lock,
            segments: BTreeMap::new(),
            held: BTreeMap::new(),
            active: [None; Priority::ALL.len()],
            next_seq: 1,
            is_cursor_dirty: false,
            is_dir_dirty: false,
            is_detached: false,
            bad_bytes: 0,
            acks: AckLog::default(),
            cursor_file: Arc::default(),
        }
    }

    /// Reads what an earlier process left in it.
    pub(crate) fn recover(&mut self, fs: &dyn Fs) -> Result<Survey, OpenError> {
        let mut survey = Survey::default();
        let known = Known::read(fs, &self.dir)?;
        self.acks.found(known.acks_len);
        self.is_cursor_dirty |= known.acks_len > 0;
        survey.is_cursor_lost = known.is_damaged;
        self.next_seq = known.cursor.next.max(1);
        for range in &known.cursor.ranges {
            self.next_seq = self.next_seq.max(range.seq + 1);
        }
        let mut found = Vec::new();
        for entry in fs.list(&self.dir)? {
            if let Some(seq) = parse_segment(&entry.name).filter(|_| !entry.is_dir) {
                found.push(seq);
            } else if entry.name.starts_with("seg-") && entry.name.ends_with(".bad") {
                self.bad_bytes += entry.size;
            }
        }
        found.sort_unstable();
        // Whoever made these may have died before their names were durable.
        self.is_dir_dirty = !found.is_empty();
        let last = found.last().copied();
        for seq in found {
            self.next_seq = self.next_seq.max(seq.saturating_add(1));
            let settled = known.settled(seq);
            match Segment::recover(fs, &self.dir, seq, settled.clone()) {
                // Settled, and its removal did not happen or was not made durable.
                Ok(Recovered::Segment(..)) if known.is_past(seq) => remove(fs, &self.dir, seq),
                Ok(recovered) => self.take_in(fs, seq, recovered, settled, Some(seq) == last, &mut survey)?,
                Err(error) => {
                    self.hold(seq, settled, true);
                    survey.unreadable.push(Arc::new(error));
                }
            }
        }
        Ok(survey)
    }

    /// The segments that could not be read, with what is settled of them.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (u64, &Ranges)> {
        let held = self.held.iter().filter(|(_, held)| held.is_unreadable);
        held.map(|(seq, held)| (*seq, &held.settled))
    }

    /// A segment that could not be read can be.
    pub(crate) fn read_again(&mut self, fs: &dyn Fs, seq: u64, recovered: Recovered) -> Survey {
        let mut survey = Survey::default();
        if let Some(Held { settled, .. }) = self.held.remove(&seq)
            // Of a later version: as little use as one that cannot be read.
            && self.take_in(fs, seq, recovered, settled.clone(), false, &mut survey).is_err()
        {
            self.hold(seq, settled, true);
        }
        survey
    }

    /// Whether nothing in it is worth more than another look at the next start.
    pub(crate) fn is_done(&self) -> bool {
        let is_nothing = |held: &Held| !held.is_unreadable && held.settled.is_empty();
        self.held.values().all(is_nothing) && self.segments.values().all(|segment| segment.is_doomed)
    }

    fn take_in(
        &mut self,
        fs: &dyn Fs,
        seq: u64,
        recovered: Recovered,
        settled: Ranges,
        is_last: bool,
        survey: &mut Survey,
    ) -> Result<(), OpenError> {
        let (mut segment, damages) = match recovered {
            Recovered::Segment(segment, _) if segment.needs_zstd && !cfg!(feature = "zstd") => {
                return Err(OpenError::NeedsZstd);
            }
            Recovered::Segment(segment, damages) => (segment, damages),
            Recovered::Empty => {
                remove(fs, &self.dir, seq);
                return Ok(());
            }
            Recovered::Newer(version) => return Err(OpenError::Newer(version)),
            Recovered::Foreign => {
                survey.foreign += 1;
                self.hold(seq, settled, false);
                return Ok(());
            }
        };
        for damage in &damages {
            survey.damage.add(damage);
            self.quarantine(fs, &segment.path, seq, damage);
            segment.settled.insert(damage.at, damage.end);
            // Counted once, also if this process ends before its first commit.
            self.settled(
                fs,
                Range {
                    seq,
                    start: damage.at,
                    end: damage.end,
                },
            );
            if damage.is_torn && is_last {
                cut(fs, &mut segment, damage.at);
            }
        }
        segment.read_at = segment.settled.skip(segment.read_at);
        survey.pending.records += segment.pending.records;
        survey.pending.items += segment.pending.items;
        survey.bytes += segment.size;
        self.is_cursor_dirty |= segment.is_settled();
        self.segments.insert(seq, *segment);
        Ok(())
    }

    fn hold(&mut self, seq: u64, settled: Ranges, is_unreadable: bool) {
        self.held.insert(seq, Held { settled, is_unreadable });
        // The cursor that is there may not know that it is held.
        self.is_cursor_dirty = true;
    }

    /// Keeps the bytes of a damage for a person to look at. Best effort: they are of no use to us.
    pub(crate) fn quarantine(&mut self, fs: &dyn Fs, path: &Path, seq: u64, damage: &Damage) {
        let len = damage.end - damage.at;
        if damage.records == 0 || self.bad_bytes + len > MAX_BAD_BYTES {
            return;
        }
        self.bad_bytes += len;
        let copy = || -> io::Result<()> {
            let mut bytes = vec![0; len as usize];
            read_exact_at(&*fs.open(path)?, &mut bytes, damage.at)?;
            let file = fs.create(&self.dir.join(bad_name(seq, damage.at)))?;
            append_all(&*file, &mut [io::IoSlice::new(&bytes)])
        };
        let _ = copy();
    }

    /// Whether the directory is still where it was, and ours.
    pub(crate) fn is_attached(&self) -> bool {
        !self.is_detached && self.lock.is_at(&self.dir.join(LOCK))
    }

    /// Remembers, so that it survives the end of the process, that this stretch is settled.
    pub(crate) fn settled(&mut self, fs: &dyn Fs, range: Range) {
        self.is_cursor_dirty = true;
        if self.is_detached {
            return;
        }
        self.acks.add(fs, &self.dir, range);
    }

    /// What the cursor shall say now.
    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let first = self
            .segments
            .values()
            .find(|segment| !segment.is_doomed)
            .map_or(self.next_seq, |segment| segment.seq);
        let segments = self
            .segments
            .range(first..)
            .map(|(seq, segment)| (seq, &segment.settled));
        let held = self.held.iter().map(|(seq, held)| (seq, &held.settled));
        let ranges = segments.chain(held).flat_map(|(seq, settled)| {
            let seq = *seq;
            // One that is held below the first shows that it is, also if nothing of it is settled.
            let none = (seq < first && settled.is_empty()).then_some((0, 0));
            none.into_iter()
                .chain(settled.iter())
                .map(move |(start, end)| Range { seq, start, end })
        });
        let cursor = Cursor {
            next: self.next_seq,
            first,
            ranges: ranges.collect(),
        };
        self.is_cursor_dirty = false;
        Snapshot::new(self.acks.begin_snapshot(), &cursor)
    }

    /// The snapshot is durable: the acknowledgements that are in it need not be kept elsewhere.
    pub(crate) fn snapshot_done(&mut self, fs: &dyn Fs, number: u64) {
        self.acks.snapshot_done(fs, &self.dir, number);
    }
}

/// Takes an emptied directory away. What is not ours in it keeps it.
pub(crate) fn remove_volume(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    // Without the cursor the segments would be pending again: their removal has to last before its own.
    fs.sync_dir(dir)?;
    for name in [CURSOR_NEW, CURSOR, ACKS_NEW, ACKS, LOCK] {
        match fs.remove_file(&dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs.remove_dir(dir)
}

/// Whether there is anything in a directory for somebody to take over.
pub(crate) fn has_segments(fs: &dyn Fs, root: &Path, number: u32) -> io::Result<bool> {
    let entries = fs.list(&root.join(volume_name(number)))?;
    Ok(entries.iter().any(|entry| parse_segment(&entry.name).is_some()))
}

fn remove(fs: &dyn Fs, dir: &Path, seq: u64) {
    // What cannot be removed now is met again at the next start.
    let _ = fs.remove_file(&dir.join(segment_name(seq)));
}

/// Takes a torn tail off.
fn cut(fs: &dyn Fs, segment: &mut Segment, at: u64) {
    if fs.open_append(&segment.path).and_then(|file| file.set_size(at)).is_ok() {
        segment.size = at;
    }
    segment.len = at.max(SEGMENT_HEADER_LEN);
}

/// An empty file, also where an attempt that was cut short left one.
fn create_anew(fs: &dyn Fs, path: &Path) -> io::Result<Arc<dyn FsFile>> {
    match fs.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove_file(path)?;
            fs.create(path)
        }
        other => other,
    }
}

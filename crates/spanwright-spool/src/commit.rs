//! What makes things durable: prepared by the log, run where it may wait.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spanwright_core::Priority;

use crate::format::{bad_name, parse_volume};
use crate::fs::{Fs, FsFile};
use crate::log::VolumeId;
use crate::ranges::Ranges;
use crate::segment::{Recovered, Segment};
use crate::volume::{CursorFile, Snapshot, Survey, Volume, has_segments, remove_volume};

/// Syncs, the cursor, removals: what a [`Log`](crate::Log) needs to have done and must not wait for.
///
/// The order is the promise: first the bytes of the segments, then the names in the directory, then the cursor, and only then is
/// anything removed that the cursor says is settled.
pub struct Commit {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) root: PathBuf,
    /// The requests that are durable if it succeeds.
    pub(crate) written: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) probe: Option<Probe>,
    pub(crate) adopt: Option<Adopt>,
}

/// What came of a [`Commit`].
pub struct Committed {
    pub(crate) written: u64,
    pub(crate) parts: Vec<PartDone>,
    pub(crate) probe: Option<io::Result<ProbeDone>>,
    pub(crate) adopted: Vec<(Volume, Survey)>,
    is_sync: bool,
}

/// In one directory.
pub(crate) struct Part {
    pub(crate) volume: VolumeId,
    pub(crate) dir: PathBuf,
    pub(crate) is_detached: bool,
    pub(crate) to_sync: Vec<ToSync>,
    pub(crate) is_dir_dirty: bool,
    /// The segments whose names a sync of the directory makes durable are below this.
    pub(crate) next_seq: u64,
    pub(crate) cursor_file: Arc<CursorFile>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) doomed: Vec<Doomed>,
    /// Segments that could not be read, and are to be tried again, with what is settled of them.
    pub(crate) unreadable: Vec<(u64, Ranges)>,
    pub(crate) is_retired: bool,
}

pub(crate) struct PartDone {
    pub(crate) volume: VolumeId,
    pub(crate) synced: Vec<Synced>,
    pub(crate) dir: Option<io::Result<()>>,
    pub(crate) next_seq: u64,
    pub(crate) cursor: Option<(u64, io::Result<()>)>,
    pub(crate) removed: Vec<u64>,
    pub(crate) removal: Option<io::Error>,
    /// What was read of those that could not be.
    pub(crate) read: Vec<(u64, Recovered)>,
    pub(crate) is_retired: bool,
    /// The directory stays, for something in it is not ours.
    pub(crate) is_left: bool,
}

pub(crate) struct ToSync {
    pub(crate) seq: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Option<Arc<dyn FsFile>>,
    pub(crate) up_to: u64,
}

pub(crate) struct Synced {
    pub(crate) seq: u64,
    pub(crate) up_to: u64,
    pub(crate) result: io::Result<()>,
}

/// A segment to be removed.
pub(crate) struct Doomed {
    pub(crate) seq: u64,
    pub(crate) path: PathBuf,
    /// It is kept under another name, for a person to look at.
    pub(crate) is_bad: bool,
}

/// Whether the disk takes a segment again.
pub(crate) struct Probe {
    /// Our directory, the number of a segment that may be made in it, and whether it is still there.
    pub(crate) own: Option<(PathBuf, u64, bool)>,
    pub(crate) nanos: u64,
}

pub(crate) struct ProbeDone {
    /// A new directory, where the old one was not there.
    pub(crate) volume: Option<Volume>,
    pub(crate) segment: Segment,
}

/// A look for what dead processes have left.
pub(crate) struct Adopt {
    pub(crate) known: Vec<u32>,
}

impl Commit {
    /// Does it. Waits for the disk.
    #[must_use = "the log waits for what came of it"]
    pub fn run(self) -> Committed {
        let fs = &*self.fs;
        let is_sync = self.parts.iter().any(|part| !part.to_sync.is_empty());
        let parts = self.parts.into_iter().map(|part| part.run(fs)).collect();
        let probe = self.probe.map(|probe| probe.run(fs, &self.root));
        let adopted = self.adopt.map(|adopt| adopt.run(fs, &self.root));
        Committed {
            written: self.written,
            parts,
            probe,
            adopted: adopted.unwrap_or_default(),
            is_sync,
        }
    }
}

impl Committed {
    /// Whether it made requests durable, or tried to.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        self.is_sync
    }
}

impl Part {
    fn run(self, fs: &dyn Fs) -> PartDone {
        let synced = self.to_sync.into_iter().map(|to_sync| to_sync.run(fs)).collect();
        let is_reachable = !self.is_detached;
        let dir = (self.is_dir_dirty && is_reachable).then(|| fs.sync_dir(&self.dir));
        let cursor = self.snapshot.map(|snapshot| {
            let write = || self.cursor_file.write(fs, &self.dir, &snapshot);
            let mut result = write();
            if matches!(&result, Err(error) if error.kind() == io::ErrorKind::StorageFull) && !self.doomed.is_empty() {
                // Full, and the cursor that would free room finds none. What is settled goes first this once: a segment that is missing
                // counts as settled when the directory is read again, so that nothing but the order is lost.
                self.doomed.iter().for_each(|doomed| drop(remove_segment(fs, doomed)));
                result = write();
            }
            (snapshot.number, result)
        });
        let is_cursor_durable = cursor.as_ref().is_none_or(|(_, result)| result.is_ok());
        let (mut removed, mut removal) = (Vec::new(), None);
        if is_cursor_durable {
            for doomed in &self.doomed {
                match remove_segment(fs, doomed) {
                    Ok(()) => removed.push(doomed.seq),
                    // What is taken away under us cannot be removed, and need not be.
                    Err(_) if self.is_detached => removed.push(doomed.seq),
                    Err(error) => removal = Some(error),
                }
            }
        }
        let read = self.unreadable.into_iter().filter_map(|(seq, settled)| {
            let recovered = Segment::recover(fs, &self.dir, seq, settled).ok()?;
            Some((seq, recovered))
        });
        let read = read.collect();
        let is_retired = self.is_retired && is_cursor_durable && removal.is_none();
        let is_left = is_retired && is_reachable && remove_volume(fs, &self.dir).is_err();
        PartDone {
            volume: self.volume,
            synced,
            dir,
            next_seq: self.next_seq,
            cursor,
            removed,
            removal,
            read,
            is_retired,
            is_left,
        }
    }
}

impl ToSync {
    fn run(self, fs: &dyn Fs) -> Synced {
        let sync = || match &self.file {
            Some(file) => file.sync(),
            None => fs.open(&self.path)?.sync(),
        };
        Synced {
            seq: self.seq,
            up_to: self.up_to,
            result: sync(),
        }
    }
}

impl Probe {
    fn run(self, fs: &dyn Fs, root: &Path) -> io::Result<ProbeDone> {
        let begin = |dir: &Path, seq| {
            let mut segment = Segment::create(fs, dir, seq, Priority::Normal, self.nanos)?;
            if let Some(file) = &segment.file {
                file.sync()?;
            }
            fs.sync_dir(dir)?;
            segment.synced = segment.len;
            segment.is_named = true;
            Ok::<_, io::Error>(segment)
        };
        if let Some((dir, seq, true)) = self.own {
            let segment = begin(&dir, seq)?;
            return Ok(ProbeDone { volume: None, segment });
        }
        let mut volume = Volume::create(fs, root)?;
        let segment = begin(&volume.dir, volume.next_seq)?;
        volume.next_seq += 1;
        Ok(ProbeDone {
            volume: Some(volume),
            segment,
        })
    }
}

impl Adopt {
    /// What cannot be had now is looked for again later.
    fn run(self, fs: &dyn Fs, root: &Path) -> Vec<(Volume, Survey)> {
        let entries = fs.list(root).unwrap_or_default();
        let numbers = entries.iter().filter(|entry| entry.is_dir);
        let numbers = numbers.filter_map(|entry| parse_volume(&entry.name));
        numbers
            .filter(|number| !self.known.contains(number))
            .filter(|number| has_segments(fs, root, *number).unwrap_or(false))
            .filter_map(|number| {
                let mut volume = Volume::try_lock(fs, root, number).ok().flatten()?;
                let survey = volume.recover(fs).ok()?;
                Some((volume, survey))
            })
            .collect()
    }
}

/// Takes a segment's file away, or out of the way.
pub(crate) fn remove_segment(fs: &dyn Fs, doomed: &Doomed) -> io::Result<()> {
    let result = match doomed.path.parent() {
        Some(dir) if doomed.is_bad => fs.rename(&doomed.path, &dir.join(bad_name(doomed.seq, 0))),
        _ => fs.remove_file(&doomed.path),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed")
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

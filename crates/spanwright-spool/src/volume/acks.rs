//! The file of acknowledgements.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::create_anew;
use crate::format::{ACK_LEN, ACKS, ACKS_NEW, Range, ack_bytes};
use crate::fs::{Fs, FsFile};
use crate::segment::append_all;

/// Acknowledgements since the cursor was written. They are appended one by one, without a sync, so that they survive the end of
/// the process; the cursor makes them survive the end of the machine.
#[derive(Debug, Default)]
pub(super) struct AckLog {
    file: Option<Arc<dyn FsFile>>,
    len: u64,
    /// Those that no durable cursor has, with the snapshot that was to be the next one then.
    since: Vec<(u64, Range)>,
    next_snapshot: u64,
}

/// The size at which the file of acknowledgements is begun anew: two thousand of them.
const MAX_LEN: u64 = 64 << 10;

impl AckLog {
    /// The file is there, and so long.
    pub(super) fn found(&mut self, len: u64) {
        self.len = len;
    }

    /// Without success it is only less well kept: the next cursor has it.
    pub(super) fn add(&mut self, fs: &dyn Fs, dir: &Path, range: Range) {
        self.since.push((self.next_snapshot, range));
        self.append(fs, dir, range);
    }

    /// Returns the number of a snapshot that has all that was added so far.
    pub(super) fn begin_snapshot(&mut self) -> u64 {
        self.next_snapshot += 1;
        self.next_snapshot - 1
    }

    /// What is in this snapshot is durable, and need not be kept here.
    pub(super) fn snapshot_done(&mut self, fs: &dyn Fs, dir: &Path, number: u64) {
        self.since.retain(|(snapshot, _)| *snapshot > number);
        if self.len == 0 {
            return;
        }
        // Best effort: an acknowledgement that the cursor has too does no harm.
        let _ = if self.since.is_empty() {
            self.clear(fs, dir)
        } else if self.len >= MAX_LEN {
            self.begin_anew(fs, dir)
        } else {
            Ok(())
        };
    }

    fn clear(&mut self, fs: &dyn Fs, dir: &Path) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            // Nobody has it open: it is from an earlier process.
            None => fs.open_append(&dir.join(ACKS))?,
        };
        file.set_size(0)?;
        self.len = 0;
        Ok(())
    }

    /// A file with those alone that no durable cursor has, in the place of the one before: this process may end at any moment, and
    /// then there is the one or the other.
    fn begin_anew(&mut self, fs: &dyn Fs, dir: &Path) -> io::Result<()> {
        let bytes: Vec<u8> = self.since.iter().flat_map(|(_, range)| ack_bytes(*range)).collect();
        let new = dir.join(ACKS_NEW);
        let file = create_anew(fs, &new)?;
        append_all(&*file, &mut [io::IoSlice::new(&bytes)])?;
        fs.rename(&new, &dir.join(ACKS))?;
        self.file = Some(file);
        self.len = bytes.len() as u64;
        Ok(())
    }

    fn append(&mut self, fs: &dyn Fs, dir: &Path, range: Range) {
        if self.file.is_none() {
            self.file = fs.open_append(&dir.join(ACKS)).ok();
        }
        let Some(file) = &self.file else { return };
        // Entries are read at multiples of their length: whatever an interrupted write left is cut.
        let whole = self.len / ACK_LEN as u64 * ACK_LEN as u64;
        if whole != self.len && file.set_size(whole).is_err() {
            return;
        }
        self.len = match append_all(&**file, &mut [io::IoSlice::new(&ack_bytes(range))]) {
            Ok(()) => whole + ACK_LEN as u64,
            Err(_) => file.size().unwrap_or(whole + 1),
        };
    }
}

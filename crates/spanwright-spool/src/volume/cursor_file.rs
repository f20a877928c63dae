//! The cursor, as it is written.

use std::io;
use std::path::Path;

use parking_lot::Mutex;

use super::create_anew;
use crate::format::{CURSOR, CURSOR_NEW, Cursor};
use crate::fs::Fs;
use crate::segment::append_all;

/// The cursor file of a directory: written by the thread that syncs, and by one that makes room. The newest snapshot stays.
#[derive(Debug, Default)]
pub(crate) struct CursorFile {
    written: Mutex<Option<u64>>,
}

/// What a cursor shall say.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) number: u64,
    bytes: Vec<u8>,
}

impl Snapshot {
    pub(super) fn new(number: u64, cursor: &Cursor) -> Self {
        Self {
            number,
            bytes: cursor.to_bytes(),
        }
    }
}

impl CursorFile {
    /// Writes the snapshot so that after a crash there is the old cursor or the new one. An older one than was written does nothing.
    pub(crate) fn write(&self, fs: &dyn Fs, dir: &Path, snapshot: &Snapshot) -> io::Result<()> {
        let mut written = self.written.lock();
        if written.is_some_and(|written| written >= snapshot.number) {
            return Ok(());
        }
        replace(fs, dir, &snapshot.bytes)?;
        *written = Some(snapshot.number);
        Ok(())
    }
}

fn replace(fs: &dyn Fs, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = dir.join(CURSOR_NEW);
    let file = create_anew(fs, &new)?;
    append_all(&*file, &mut [io::IoSlice::new(bytes)])?;
    file.sync()?;
    fs.rename(&new, &dir.join(CURSOR))?;
    fs.sync_dir(dir)
}

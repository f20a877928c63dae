//! The cursor and the acknowledgements, as they are read.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::OpenError;
use crate::format::{ACKS, CURSOR, Cursor, CursorError, read_acks, read_exact_at};
use crate::fs::Fs;
use crate::ranges::Ranges;

/// What a directory knows to be settled.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) cursor: Cursor,
    /// Segments below the cursor's first of which only its ranges are settled.
    held: BTreeSet<u64>,
    pub(super) acks_len: u64,
    pub(crate) is_damaged: bool,
}

/// More than a cursor or a file of acknowledgements ever has.
const MAX_SMALL_FILE: u64 = 64 << 20;

impl Known {
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, OpenError> {
        let mut known = Self::default();
        match read_all(fs, &dir.join(CURSOR))?.map(|bytes| Cursor::parse(&bytes)) {
            None => {}
            Some(Ok(cursor)) => {
                let below = cursor.ranges.iter().map(|range| range.seq);
                known.held = below.filter(|seq| *seq < cursor.first).collect();
                known.cursor = cursor;
            }
            Some(Err(CursorError::Newer { version })) => return Err(OpenError::Newer(version)),
            Some(Err(CursorError::Damaged)) => known.is_damaged = true,
        }
        if let Some(acks) = read_all(fs, &dir.join(ACKS))? {
            known.acks_len = acks.len() as u64;
            known.cursor.ranges.extend(read_acks(&acks));
        }
        Ok(known)
    }

    /// Whether the segment is settled, and may be gone.
    pub(super) fn is_past(&self, seq: u64) -> bool {
        seq < self.cursor.first && !self.held.contains(&seq)
    }

    /// What is settled of one segment.
    pub(crate) fn settled(&self, seq: u64) -> Ranges {
        let mut ranges = Ranges::default();
        if self.is_past(seq) {
            ranges.insert(0, u64::MAX);
        }
        for range in self.cursor.ranges.iter().filter(|range| range.seq == seq) {
            ranges.insert(range.start, range.end);
        }
        ranges
    }
}

fn read_all(fs: &dyn Fs, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.size()?.min(MAX_SMALL_FILE) as usize];
    read_exact_at(&*file, &mut bytes, 0)?;
    Ok(Some(bytes))
}

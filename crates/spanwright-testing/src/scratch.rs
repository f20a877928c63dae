//! A place on the disk for one test.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory that is empty at its beginning and gone after its end.
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl ScratchDir {
    /// A fresh one, in the system's directory for such things.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn new() -> io::Result<Self> {
        // Relaxed: a number that nobody else has is all that is wanted.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("spanwright-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Of a process of the same number that was killed.
        _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.path);
    }
}

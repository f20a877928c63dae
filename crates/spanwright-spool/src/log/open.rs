//! Opening: what can be known to be wrong is said, what may pass is waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use spanwright_core::BuildError;

use super::{Counts, Log};
use crate::config::SpoolConfig;
use crate::format::{FORMAT_VERSION, parse_volume};
use crate::fs::Fs;
use crate::now::Now;
use crate::volume::{OpenError, Survey, Volume, has_segments};

impl Log {
    /// Opens the directory, takes a directory in it for this process, and reads what earlier processes left that have died.
    ///
    /// A disk that fails for now (it is full, it answers with an error) is no reason not to start: the log then refuses what it is
    /// given, and tries again.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used; a directory that is a file, that may not be written to, or that has files of a later version
    /// of this crate.
    ///
    /// # Cost
    ///
    /// Reads and checks every record that was left: the bound in bytes at the speed of the disk.
    pub fn open(config: SpoolConfig, fs: Arc<dyn Fs>, now: Now) -> Result<Self, BuildError> {
        config.validate()?;
        let adopt_at = now.instant + config.adopt_interval;
        let mut log = Self {
            config,
            fs,
            volumes: BTreeMap::new(),
            own: None,
            next_volume: 0,
            claims: BTreeMap::new(),
            released: BTreeSet::new(),
            trouble: None,
            is_closed: false,
            counts: Counts::default(),
            used: 0,
            written: 0,
            durable: 0,
            is_committing: false,
            dirty_since: None,
            is_flush_wanted: false,
            commit_not_before: None,
            adopt_at,
            left: BTreeSet::new(),
            last_write: now.instant,
            notices: Vec::new(),
            buffer: Vec::new(),
        };
        match log.open_directory(now) {
            Ok(()) => {}
            Err(OpenError::Io(error)) if may_pass(&error) => log.degrade(now, error),
            Err(error) => return Err(log.refusal(error)),
        }
        Ok(log)
    }

    fn open_directory(&mut self, now: Now) -> Result<(), OpenError> {
        let (fs, root) = (Arc::clone(&self.fs), self.config.directory.clone());
        fs.create_dir(&root)?;
        let mut numbers: Vec<u32> = fs
            .list(&root)?
            .iter()
            .filter(|entry| entry.is_dir)
            .filter_map(|entry| parse_volume(&entry.name))
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            match self.open_volume(&*fs, number) {
                Err(error @ (OpenError::Newer(_) | OpenError::NeedsZstd)) => return Err(error),
                // One of several that cannot be read now is looked for again later.
                Err(OpenError::Io(_)) | Ok(()) => {}
            }
        }
        if self.own.is_none() {
            let volume = Volume::create(&*fs, &root)?;
            self.own = Some(self.add(volume, &Survey::default()));
        }
        self.touch(now.instant);
        Ok(())
    }

    /// The first that nobody has becomes our own. Of the others we take those that have something.
    fn open_volume(&mut self, fs: &dyn Fs, number: u32) -> Result<(), OpenError> {
        let root = &self.config.directory;
        if self.own.is_some() && !has_segments(fs, root, number)? {
            return Ok(());
        }
        let Some(mut volume) = Volume::try_lock(fs, root, number)? else {
            return Ok(());
        };
        let survey = volume.recover(fs)?;
        let id = self.add(volume, &survey);
        self.own.get_or_insert(id);
        Ok(())
    }

    fn refusal(&self, error: OpenError) -> BuildError {
        let path = self.config.directory.display();
        match error {
            OpenError::Newer(version) => BuildError::new(
                "directory",
                format_args!("{path} (format version {version})"),
                format!("format version {FORMAT_VERSION}: a later version of spanwright-spool wrote this"),
            ),
            OpenError::NeedsZstd => BuildError::new(
                "directory",
                format_args!("{path} (with compressed records)"),
                "uncompressed records, unless the feature `zstd` is on",
            ),
            OpenError::Io(error) => {
                BuildError::new("directory", path, "a directory that this process may write to").with_source(error)
            }
        }
    }
}

/// Whether waiting may help. What the person who configured us has to repair does not pass.
fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Unsupported
    )
}

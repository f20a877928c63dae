//! What the log asks of a file system.

mod disk;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use self::disk::DiskFs;

/// The part of a file system that the log needs, so that a test can put one under it that breaks.
///
/// # Contract
///
/// Three kinds of survival are told apart, and an implementation must keep them apart:
///
/// - What [`FsFile::append`] took survives the end of the process, whatever ends it.
/// - It survives the end of the machine only after [`FsFile::sync`] answered `Ok`. An error means that it may never, and that
///   a second call may answer `Ok` without having written anything.
/// - A name in a directory (a new file, a rename, a removal) survives the end of the machine only after
///   [`Fs::sync_dir`]. A rename is whole: after the end there is the old file or the new one.
pub trait Fs: fmt::Debug + Send + Sync + 'static {
    /// Makes a directory and those above it, for this user alone. One that exists is fine.
    ///
    /// # Errors
    ///
    /// What the system says. So for every other function here.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory, in no order.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn list(&self, dir: &Path) -> io::Result<Vec<FsEntry>>;

    /// Makes a file that must not exist yet, for this user alone.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;

    /// Opens a file for reading.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;

    /// Opens a file for reading, appending and cutting; makes it, for this user alone, where there is none.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn FsFile>>;

    /// Gives a file another name, in the place of a file that may have it.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Takes an empty directory away.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens `path`, making it where there is none, and takes its lock if nobody has it. The lock ends with the handle, or with
    /// the process. `None`: somebody has it, in this process or another.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `create_dir`")]
    fn try_lock(&self, path: &Path) -> io::Result<Option<Arc<dyn FsFile>>>;
}

/// An open file.
pub trait FsFile: fmt::Debug + Send + Sync {
    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// What the system says. So for every other function here.
    fn size(&self) -> io::Result<u64>;

    /// Writes some of `parts` at the end, and says how many bytes.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `size`")]
    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Reads some bytes from `at` on, and says how many; none at the end.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `size`")]
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Cuts the file.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `size`")]
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes its bytes and its size durable.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `size`")]
    fn sync(&self) -> io::Result<()>;

    /// Whether `path` still names this file: it may have been removed, or its directory moved away.
    fn is_at(&self, path: &Path) -> bool;
}

/// One name in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "implementations of `Fs` make it")]
pub struct FsEntry {
    /// The name, if it is text. Other names are nobody's of ours.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The size of a file, in bytes.
    pub size: u64,
}

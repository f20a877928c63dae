//! The machine's file system.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Fs, FsEntry, FsFile};

/// The machine's file system: directories of mode 0700 and files of 0600.
///
/// Elsewhere than on Unix directories cannot be synced, and modes are what the system gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFs;

#[derive(Debug)]
struct DiskFile {
    file: File,
    #[cfg(unix)]
    identity: (u64, u64),
}

impl DiskFile {
    fn open(options: &OpenOptions, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        Ok(Arc::new(Self::new(options.open(path)?)?))
    }

    fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            identity: identity(&file.metadata()?),
            file,
        })
    }
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Fs for DiskFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FsEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // What vanishes while we look was not there.
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            entries.push(FsEntry {
                name,
                is_dir: metadata.is_dir(),
                size: metadata.len(),
            });
        }
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        DiskFile::open(options().append(true).create_new(true), path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        DiskFile::open(&options(), path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        DiskFile::open(options().append(true).create(true), path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        #[cfg(unix)]
        File::open(dir)?.sync_all()?;
        let _ = dir;
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Arc<dyn FsFile>>> {
        let file = DiskFile::new(options().append(true).create(true).open(path)?)?;
        match fs4::FileExt::try_lock(&file.file) {
            // Between our opening and our locking its last owner may have removed it: then it is the lock of nothing.
            Ok(()) => Ok(file.is_at(path).then(|| Arc::new(file) as Arc<dyn FsFile>)),
            Err(fs4::TryLockError::WouldBlock) => Ok(None),
            Err(fs4::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl FsFile for DiskFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.file).write_vectored(parts)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buffer, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buffer, at);
        #[cfg(not(any(unix, windows)))]
        {
            use std::io::{Read, Seek, SeekFrom};
            (&self.file).seek(SeekFrom::Start(at))?;
            (&self.file).read(buffer)
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_at(&self, path: &Path) -> bool {
        #[cfg(unix)]
        return std::fs::metadata(path).is_ok_and(|metadata| identity(&metadata) == self.identity);
        #[cfg(not(unix))]
        return path.exists();
    }
}

//! A file that may change.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use spanwright_core::BuildError;

use crate::config::MAX_LEN;

/// Looks at a file, and says what is new in it.
#[derive(Debug)]
pub(super) struct WatchedFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    contents: Option<Contents>,
    /// How often it is still read although nothing seems to have changed.
    settling: u32,
}

/// What cannot stay the same when another file is there or this one was written, but for the file system's idea of time.
#[derive(Debug, Eq, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

#[derive(Debug, Eq, PartialEq)]
enum Contents {
    Bytes(Vec<u8>),
    Unreadable(io::ErrorKind),
}

/// Two seconds of ticks: the coarsest clock of a file system that is in use (FAT). A file that is written twice within one of its
/// ticks, with the same length, looks as if it had been written once.
const SETTLING: u32 = 20;

impl WatchedFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            contents: None,
            settling: 0,
        }
    }

    /// What is in the file, if that is something else than the last time.
    ///
    /// # Cost
    ///
    /// A system call while it does not change, and reads it for two seconds after it did.
    pub(super) fn poll(&mut self) -> Option<Result<String, BuildError>> {
        // Before it is read: what is written in between is seen by the next look.
        let stamp = fs::metadata(&self.path).map(|metadata| (Stamp::of(&metadata), metadata.is_file()));
        let contents = match stamp {
            Ok((stamp, is_file)) => {
                if self.stamp.as_ref() != Some(&stamp) {
                    self.stamp = Some(stamp);
                    self.settling = SETTLING;
                } else if self.settling == 0 {
                    return None;
                } else {
                    self.settling -= 1;
                }
                // Opening a pipe would wait for somebody who writes to it.
                let read = if is_file {
                    self.read()
                } else {
                    Err(io::ErrorKind::InvalidInput.into())
                };
                read.map_or_else(|error| Err(error.kind()), Ok)
            }
            Err(error) => {
                self.stamp = None;
                Err(error.kind())
            }
        };
        let contents = match contents {
            Ok(bytes) => Contents::Bytes(bytes),
            Err(kind) => Contents::Unreadable(kind),
        };
        if self.contents.as_ref() == Some(&contents) {
            return None;
        }
        let news = self.text(&contents);
        self.contents = Some(contents);
        Some(news)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than is accepted, so that the document's own check says what is wrong.
        File::open(&self.path)?
            .take(MAX_LEN as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn text(&self, contents: &Contents) -> Result<String, BuildError> {
        let error = |accepted: &'static str| BuildError::new("file", self.path.display(), accepted);
        match contents {
            Contents::Bytes(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(cause) => Err(error("a file with text in UTF-8").with_source(cause)),
            },
            Contents::Unreadable(kind) => Err(error("a file that can be read").with_source(io::Error::from(*kind))),
        }
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            modified: metadata.modified().ok(),
            len: metadata.len(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if the file had been written within one tick of the file system's clock: nothing tells it from what was read.
    fn write_unseen(file: &mut WatchedFile, text: &str) {
        fs::write(&file.path, text).expect("a file");
        let metadata = fs::metadata(&file.path).expect("a file");
        file.stamp = Some(Stamp::of(&metadata));
    }

    #[test]
    fn a_file_that_looks_unchanged_is_read_a_while_longer() {
        let path = std::env::temp_dir().join(format!("spanwright-file-{}", std::process::id()));
        fs::write(&path, "one").expect("a file");
        let mut file = WatchedFile::new(path.clone());
        let read = |file: &mut WatchedFile| file.poll().map(|text| text.expect("text"));
        assert_eq!(read(&mut file).as_deref(), Some("one"));
        for round in 0..SETTLING {
            let text = if round % 2 == 0 { "two" } else { "one" };
            write_unseen(&mut file, text);
            assert_eq!(read(&mut file).as_deref(), Some(text), "{round}");
        }
        // Then it costs a system call, and no more.
        write_unseen(&mut file, "two");
        assert_eq!(read(&mut file), None);
        fs::remove_file(path).expect("the file");
    }
}

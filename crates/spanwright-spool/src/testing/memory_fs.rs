//! The file system in memory.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::memory_state::{Choice, Fault, Node, Operation, State, name_of};
use crate::fs::{Fs, FsEntry, FsFile};

/// A file system in memory that keeps apart what is seen and what is durable. Clones are the same one.
///
/// The end of a process is to drop what it had open; the end of the machine is [`crash`](Self::crash). Paths are absolute.
///
/// ```
/// use std::{io::IoSlice, path::Path};
/// use spanwright_spool::{Fs, testing::MemoryFs};
///
/// let (fs, dir) = (MemoryFs::new(), Path::new("/spool"));
/// fs.create_dir(dir)?;
/// let file = fs.create(&dir.join("file"))?;
/// file.append(&[IoSlice::new(b"content")])?;
/// file.sync()?; // the bytes are durable, the name is not
/// fs.sync_dir(Path::new("/"))?;
/// let lost = (0..100).any(|seed| {
///     let fs = fs.fork();
///     fs.crash(seed);
///     fs.files().is_empty()
/// });
/// assert!(lost);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryFs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct MemoryFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    epoch: u64,
    has_lock: bool,
}

impl MemoryFs {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Another one with the same content, durable and not, and nothing open.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state.lock();
        Self {
            state: Arc::new(Mutex::new(state.fork())),
        }
    }

    /// The end of the machine. What was not durable is there or not, sector by sector and name by name, as `seed` has it.
    pub fn crash(&self, seed: u64) {
        self.state.lock().crash(&mut Choice(seed));
    }

    /// The next `times` operations of this kind fail.
    pub fn inject(&self, operation: Operation, fault: Fault, times: u32) {
        self.state.lock().faults.push((operation, fault, times));
    }

    /// Nothing fails any more, nothing is full, read-only or denied.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.capacity = None;
        state.is_read_only = false;
        state.denied.clear();
    }

    /// From now on there is room for so many bytes in all.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = Some(bytes);
    }

    /// From now on nothing can be changed.
    pub fn set_read_only(&self) {
        self.state.lock().is_read_only = true;
    }

    /// From now on this file cannot be opened for reading.
    pub fn deny(&self, path: &Path) {
        self.state.lock().denied.insert(path.to_owned());
    }

    /// Takes a directory away under whoever uses it.
    pub fn vanish(&self, path: &Path) {
        self.state.lock().vanish(path);
    }

    /// Flips a bit of a file, on the disk and in its cache.
    pub fn flip_bit(&self, path: &Path, bit: usize) {
        let mut state = self.state.lock();
        if let Some(Node::File(inode)) = state.find(path)
            && let Some(inode) = state.inodes.get_mut(&inode)
        {
            inode.flip(bit);
        }
    }

    /// Every file, in order.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state.lock().files()
    }

    /// The bytes of a file, as they are seen.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        match state.find(path)? {
            Node::File(inode) => state.inodes.get(&inode).map(|inode| inode.data.clone()),
            Node::Dir => None,
        }
    }

    /// Puts a file in place, durably.
    ///
    /// # Errors
    ///
    /// There is no such directory.
    pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = match state.find(path) {
            Some(Node::File(inode)) => inode,
            _ => state.add_file(path)?,
        };
        if let Some(inode) = state.inodes.get_mut(&inode) {
            inode.set_size(0);
            inode.append(bytes);
            inode.sync();
        }
        if let Some(parent) = path.parent() {
            state.dir(parent)?.sync();
        }
        Ok(())
    }

    fn handle(&self, state: &State, inode: u64, has_lock: bool) -> Arc<dyn FsFile> {
        Arc::new(MemoryFile {
            state: Arc::clone(&self.state),
            inode,
            epoch: state.epoch,
            has_lock,
        })
    }

    fn open_or_create(&self, path: &Path, state: &mut State) -> io::Result<u64> {
        match state.find(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => {
                state.fault(Operation::Create)?;
                state.add_file(path)
            }
        }
    }
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::new()
    }
}

impl Fs for MemoryFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|path| state.find(path) != Some(Node::Dir))
            .collect();
        for path in missing.into_iter().rev() {
            if state.find(path).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.fault(Operation::Create)?;
            state.add_dir(path)?;
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FsEntry>> {
        let mut state = self.state.lock();
        state.fault(Operation::Read)?;
        let names: Vec<(String, Node)> = state.dir(dir)?.names.clone().into_iter().collect();
        let entry = |(name, node): (String, Node)| FsEntry {
            name,
            is_dir: node == Node::Dir,
            size: match node {
                Node::File(inode) => state.inodes.get(&inode).map_or(0, |inode| inode.data.len() as u64),
                Node::Dir => 0,
            },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut state = self.state.lock();
        state.fault(Operation::Create)?;
        if state.find(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.add_file(path)?;
        Ok(self.handle(&state, inode, false))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut state = self.state.lock();
        state.fault(Operation::Read)?;
        match state.find(path) {
            Some(_) if state.denied.contains(path) => Err(io::ErrorKind::PermissionDenied.into()),
            Some(Node::File(inode)) => Ok(self.handle(&state, inode, false)),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let mut state = self.state.lock();
        let inode = self.open_or_create(path, &mut state)?;
        Ok(self.handle(&state, inode, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.fault(Operation::Rename)?;
        let node = state.find(from).ok_or(io::ErrorKind::NotFound)?;
        let parent = from.parent().filter(|parent| Some(*parent) == to.parent());
        let parent = parent.ok_or(io::ErrorKind::CrossesDevices)?;
        state.dir(parent)?.rename(name_of(from), name_of(to), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.fault(Operation::Remove)?;
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        let dir = state.dir(parent)?;
        if !matches!(dir.names.get(&name_of(path)), Some(Node::File(_))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        dir.remove(name_of(path));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.fault(Operation::Remove)?;
        state.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.fault(Operation::SyncDir)?;
        state.dir(dir)?.sync();
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Arc<dyn FsFile>>> {
        let mut state = self.state.lock();
        let inode = self.open_or_create(path, &mut state)?;
        Ok(state.locks.insert(inode).then(|| self.handle(&state, inode, true)))
    }
}

impl MemoryFile {
    fn with<R>(&self, work: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        let mut state = self.state.lock();
        if state.epoch != self.epoch {
            return Err(io::Error::other("opened before the crash"));
        }
        work(&mut state)
    }
}

impl FsFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.inodes[&self.inode].data.len() as u64))
    }

    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.with(|state| {
            let fault = state.fault(Operation::Append)?;
            let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            if let Some(capacity) = state.capacity {
                let room = capacity.saturating_sub(state.used()) as usize;
                if room == 0 && !bytes.is_empty() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                bytes.truncate(room);
            }
            if let Some(Fault::Short(count) | Fault::Torn(count, _)) = fault {
                bytes.truncate(count);
            }
            let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
            inode.append(&bytes);
            match fault {
                Some(Fault::Torn(_, kind)) => Err(kind.into()),
                _ => Ok(bytes.len()),
            }
        })
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(|state| {
            state.fault(Operation::Read)?;
            let data = &state.inodes[&self.inode].data;
            let rest = data.get(at as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.with(|state| {
            state.fault(Operation::SetSize)?;
            let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
            inode.set_size(size as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            let fault = state.fault(Operation::Sync)?;
            let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
            match fault {
                Some(Fault::Error(kind)) => {
                    inode.fail_sync();
                    Err(kind.into())
                }
                _ => {
                    inode.sync();
                    Ok(())
                }
            }
        })
    }

    fn is_at(&self, path: &Path) -> bool {
        let state = self.state.lock();
        state.epoch == self.epoch && state.find(path) == Some(Node::File(self.inode))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if self.has_lock {
            let mut state = self.state.lock();
            if state.epoch == self.epoch {
                state.locks.remove(&self.inode);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_of_what_was_not_durable_each_time() {
        let crashed = || {
            let (fs, dir) = (MemoryFs::new(), Path::new("/spool"));
            fs.create_dir(dir).unwrap();
            for number in 0..20_u8 {
                let file = fs.create(&dir.join(number.to_string())).unwrap();
                file.append(&[IoSlice::new(&[number; 4096])]).unwrap();
            }
            fs.sync_dir(Path::new("/")).unwrap();
            fs.sync_dir(dir).unwrap();
            fs.crash(7);
            let files = fs.files();
            files.iter().map(|path| fs.content(path)).collect::<Vec<_>>()
        };
        let first = crashed();
        assert_eq!(first.len(), 20);
        (0..10).for_each(|_| assert_eq!(crashed(), first));
    }
}

//! What a file system in memory consists of, and what is left of it after a crash.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// The unit in which a disk writes. A write that a crash interrupts is whole or missing sector by sector.
pub(super) const SECTOR: usize = 512;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Writing at the end of a file.
    Append,
    /// Making a file or a directory.
    Create,
    /// Reading.
    Read,
    /// Removing a file or a directory.
    Remove,
    /// Renaming.
    Rename,
    /// Cutting a file.
    SetSize,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
}

/// How it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// With an error. A sync that fails throws away what it should have made durable, as kernels do: the next one succeeds without it.
    Error(io::ErrorKind),
    /// An append takes only so many bytes, and answers so.
    Short(usize),
    /// An append takes so many bytes, and then fails.
    Torn(usize, io::ErrorKind),
}

#[derive(Debug, Default)]
pub(super) struct State {
    dirs: BTreeMap<PathBuf, Dir>,
    /// Directories that were removed, for their removal may not last.
    removed: BTreeMap<PathBuf, Dir>,
    /// In an order, so that what a seed makes of them is always the same.
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) locks: HashSet<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) faults: Vec<(Operation, Fault, u32)>,
    pub(super) is_read_only: bool,
    /// Files that cannot be opened for reading.
    pub(super) denied: HashSet<PathBuf>,
    /// Counts crashes: what was open before is of no use after.
    pub(super) epoch: u64,
    next_inode: u64,
}

/// A directory: the names that are seen, those that are durable, and what lies between.
#[derive(Clone, Debug, Default)]
pub(super) struct Dir {
    pub(super) names: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, Node),
    Remove(String),
    Rename(String, String, Node),
}

/// A file: the bytes that are seen, those that are durable, and which sectors lie between.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) data: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    is_size_dirty: bool,
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self::default();
        state.dirs.insert(PathBuf::from("/"), Dir::default());
        state
    }

    pub(super) fn fork(&self) -> Self {
        Self {
            dirs: self.dirs.clone(),
            inodes: self.inodes.clone(),
            next_inode: self.next_inode,
            ..Self::default()
        }
    }

    /// What the next operation of this kind has to suffer.
    pub(super) fn fault(&mut self, operation: Operation) -> io::Result<Option<Fault>> {
        let writes = !matches!(operation, Operation::Read);
        if self.is_read_only && writes {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let Some(index) = self.faults.iter().position(|(kind, ..)| *kind == operation) else {
            return Ok(None);
        };
        let (_, fault, times) = &mut self.faults[index];
        let fault = *fault;
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.faults.remove(index);
        }
        match fault {
            Fault::Error(kind) if operation != Operation::Sync => Err(kind.into()),
            fault => Ok(Some(fault)),
        }
    }

    pub(super) fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        if let Some(Node::File(_)) = self.find(path) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.dirs.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn find(&self, path: &Path) -> Option<Node> {
        if self.dirs.contains_key(path) {
            return Some(Node::Dir);
        }
        let dir = self.dirs.get(path.parent()?)?;
        dir.names.get(&name_of(path)).copied()
    }

    pub(super) fn add_dir(&mut self, path: &Path) -> io::Result<()> {
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        self.dir(parent)?.add(name_of(path), Node::Dir);
        self.removed.remove(path);
        self.dirs.insert(path.to_owned(), Dir::default());
        Ok(())
    }

    pub(super) fn add_file(&mut self, path: &Path) -> io::Result<u64> {
        let inode = self.next_inode;
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        self.dir(parent)?.add(name_of(path), Node::File(inode));
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        Ok(inode)
    }

    /// Takes a directory and all that is in it away, durably.
    pub(super) fn vanish(&mut self, path: &Path) {
        self.dirs.retain(|dir, _| !dir.starts_with(path));
        if let Some(dir) = path.parent().and_then(|parent| self.dirs.get_mut(parent)) {
            dir.names.remove(&name_of(path));
            dir.durable.remove(&name_of(path));
            dir.changes.clear();
        }
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.dir(path)?.names.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if let Some(dir) = self.dirs.remove(path) {
            self.removed.insert(path.to_owned(), dir);
        }
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        self.dir(parent)?.remove(name_of(path));
        Ok(())
    }

    /// The bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        let nodes = self.dirs.values().flat_map(|dir| dir.names.values());
        nodes
            .filter_map(|node| match node {
                Node::File(inode) => self.inodes.get(inode).map(|inode| inode.data.len() as u64),
                Node::Dir => None,
            })
            .sum()
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self.dirs.iter().flat_map(|(path, dir)| {
            let names = dir.names.iter().filter(|(_, node)| **node != Node::Dir);
            names.map(move |(name, _)| path.join(name))
        });
        files.collect()
    }

    /// The end of the machine: of what was not durable, each sector, each size and each name is there or not, as `choose` has it.
    pub(super) fn crash(&mut self, choose: &mut Choice) {
        self.epoch += 1;
        self.locks.clear();
        self.faults.clear();
        self.dirs.values_mut().for_each(|dir| dir.crash(choose));
        // A directory is there only if its name is, in a directory that is there; parents come before children.
        let mut kept: BTreeMap<PathBuf, Dir> = BTreeMap::new();
        for (path, dir) in std::mem::take(&mut self.dirs) {
            let above = path.parent().map(|parent| kept.get(parent));
            let is_named = above
                .is_none_or(|above| above.is_some_and(|above| above.names.get(&name_of(&path)) == Some(&Node::Dir)));
            if is_named {
                kept.insert(path, dir);
            }
        }
        // A removal that did not last leaves what the directory had durably.
        let mut removed = std::mem::take(&mut self.removed);
        let missing: Vec<PathBuf> = kept
            .iter()
            .flat_map(|(path, dir)| dir.names.iter().map(move |(name, node)| (path.join(name), *node)))
            .filter(|(path, node)| *node == Node::Dir && !kept.contains_key(path))
            .map(|(path, _)| path)
            .collect();
        for path in missing {
            let mut dir = removed.remove(&path).unwrap_or_default();
            dir.crash(choose);
            kept.insert(path, dir);
        }
        self.dirs = kept;
        self.inodes.values_mut().for_each(|inode| inode.crash(choose));
    }
}

impl Dir {
    fn add(&mut self, name: String, node: Node) {
        self.names.insert(name.clone(), node);
        self.changes.push(Change::Add(name, node));
    }

    pub(super) fn remove(&mut self, name: String) -> Option<Node> {
        let node = self.names.remove(&name);
        self.changes.push(Change::Remove(name));
        node
    }

    pub(super) fn rename(&mut self, from: String, to: String, node: Node) {
        self.names.remove(&from);
        self.names.insert(to.clone(), node);
        self.changes.push(Change::Rename(from, to, node));
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.names.clone();
        self.changes.clear();
    }

    fn crash(&mut self, choose: &mut Choice) {
        for change in std::mem::take(&mut self.changes) {
            if !choose.flip() {
                continue;
            }
            match change {
                Change::Add(name, node) => drop(self.durable.insert(name, node)),
                Change::Remove(name) => drop(self.durable.remove(&name)),
                Change::Rename(from, to, node) => {
                    self.durable.remove(&from);
                    self.durable.insert(to, node);
                }
            }
        }
        self.names = self.durable.clone();
    }
}

impl Inode {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(bytes);
        self.dirty.extend(start / SECTOR..self.data.len().div_ceil(SECTOR));
        self.is_size_dirty = true;
    }

    pub(super) fn set_size(&mut self, size: usize) {
        self.data.resize(size, 0);
        self.dirty.retain(|sector| sector * SECTOR < size);
        self.dirty
            .extend((size / SECTOR..size.div_ceil(SECTOR)).filter(|_| size > 0));
        self.is_size_dirty = true;
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.data.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(&self.data, &mut self.durable, sector);
        }
        self.is_size_dirty = false;
    }

    /// A sync that failed: the pages count as clean, and are not on the disk.
    pub(super) fn fail_sync(&mut self) {
        self.dirty.clear();
        self.is_size_dirty = false;
    }

    pub(super) fn flip(&mut self, bit: usize) {
        for bytes in [&mut self.data, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn crash(&mut self, choose: &mut Choice) {
        if self.is_size_dirty {
            let (least, most) = (
                self.durable.len().min(self.data.len()),
                self.durable.len().max(self.data.len()),
            );
            let size = match choose.below(3) {
                0 => self.durable.len(),
                1 => self.data.len(),
                _ => least + choose.below(most - least + 1) / SECTOR * SECTOR,
            };
            // What a file has grown by and was not written is zeros; some disks leave there what was there before.
            let filler = if choose.below(4) == 0 { 0xa5 } else { 0 };
            self.durable.resize(size, filler);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if choose.flip() {
                copy_sector(&self.data, &mut self.durable, sector);
            }
        }
        self.is_size_dirty = false;
        self.data = self.durable.clone();
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector * SECTOR;
    let end = (start + SECTOR).min(from.len()).min(to.len());
    if start < end {
        to[start..end].copy_from_slice(&from[start..end]);
    }
}

/// The choices of a crash, from a seed (SplitMix64).
pub(super) struct Choice(pub(super) u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

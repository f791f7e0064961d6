//! A disk in memory that behaves as badly as a real one may.
//!
//! Content, length and names that were not synced survive a power cut in any combination: per 512-byte sector any
//! prefix of the writes to it, and any subset of the name changes. A sync that fails drops what it was to save, yet
//! programs keep reading it and the next sync succeeds: that is what Linux does (LWN 752063, 2018). Power goes at a chosen operation; from then on every operation fails.

mod cut;
mod file;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use file::SimFile;

/// A simulated disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: HashMap<u64, Inode>,
    next_inode: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    changed_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    operations: u64,
    cut_at: Option<u64>,
    powerless: bool,
    failing_syncs: u64,
    capacity: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename { from: PathBuf, to: PathBuf, inode: u64 },
}

impl NameChange {
    fn is_in(&self, dir: &Path) -> bool {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename { to: path, .. }) = self;
        path.parent() == Some(dir)
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path, inode);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename { from, to, inode } => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the simulated power is off")
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations that change something were done so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Cuts the power in the middle of the operation with this number.
    pub fn cut_power_at(&self, operation: u64) {
        self.state().cut_at = Some(operation);
    }

    /// Whether the power went.
    pub fn is_powerless(&self) -> bool {
        self.state().powerless
    }

    /// Lets the next `count` syncs of files fail.
    pub fn fail_syncs(&self, count: u64) {
        self.state().failing_syncs = count;
    }

    /// Bounds the sum of all file lengths; `None` for no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Flips bits of one byte of a file, on the disk as well as in what programs read.
    pub fn flip(&self, path: &Path, at: usize, mask: u8) {
        let mut state = self.state();
        let inode = state.names.get(path).copied();
        if let Some(inode) = inode.and_then(|inode| state.inodes.get_mut(&inode)) {
            for content in [&mut inode.content, &mut inode.durable] {
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= mask;
                }
            }
        }
    }

    /// What a program would read from a file now.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).and_then(|inode| state.inodes.get(inode)).map(|inode| inode.content.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.state().powerless { Err(no_power()) } else { Ok(()) }
    }

    pub(super) fn create(&self, path: &Path) -> io::Result<SimFile> {
        self.check_power()?;
        let mut state = self.state();
        let powered = state.begin();
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.change_name(NameChange::Link(path.to_owned(), inode));
        powered.map(|()| SimFile::new(self.clone(), inode, None))
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<SimFile> {
        self.check_power()?;
        let inode = *self.state().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile::new(self.clone(), inode, None))
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.check_power()?;
        Ok(self.state().names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check_power()?;
        let mut state = self.state();
        let powered = state.begin();
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode });
        powered
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.check_power()?;
        let mut state = self.state();
        let powered = state.begin();
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Unlink(path.to_owned()));
        powered
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        let (inside, outside) = state.changed_names.drain(..).partition(|change| change.is_in(dir));
        state.changed_names = outside;
        let inside: Vec<NameChange> = inside;
        for change in inside {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    pub(super) fn lock(&self, path: &Path) -> io::Result<Option<SimFile>> {
        self.check_power()?;
        let free = self.state().locks.insert(path.to_owned());
        Ok(free.then(|| SimFile::new(self.clone(), u64::MAX, Some(path.to_owned()))))
    }
}

impl State {
    /// Counts an operation; an error if the power is off or goes now. What it was to do may still happen in part.
    fn begin(&mut self) -> io::Result<()> {
        if self.powerless {
            return Err(no_power());
        }
        self.operations += 1;
        self.powerless = self.cut_at.is_some_and(|at| self.operations >= at);
        if self.powerless { Err(no_power()) } else { Ok(()) }
    }

    fn change_name(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.changed_names.push(change);
    }
}

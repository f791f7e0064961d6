//! An open file of the simulated disk. Unsynced changes are remembered in their order beside what programs read.

use std::io;
use std::path::PathBuf;

use super::cut::{Dice, survive};
use super::{Change, SimDisk, State, no_power};

/// An open file, or a lock that ends with it.
#[derive(Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    inode: u64,
    lock: Option<PathBuf>,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: u64, lock: Option<PathBuf>) -> Self {
        Self { disk, inode, lock }
    }

    pub(crate) fn read_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.disk.state();
        if state.powerless {
            return Err(no_power());
        }
        let content = &state.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?.content;
        let rest = content.get(index(at)..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let change = Change::Write { at, bytes: bytes.to_vec() };
        self.change(change, index(at) + bytes.len()).map(|()| bytes.len())
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len), index(len))
    }

    fn change(&self, change: Change, end: usize) -> io::Result<()> {
        let mut state = self.disk.state();
        if state.powerless {
            return Err(no_power());
        }
        let powered = state.begin();
        has_room(&state, self.inode, end)?;
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        change.apply(&mut inode.content);
        inode.changes.push(change);
        powered
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.begin()?;
        let fails = state.failing_syncs > 0;
        let seed = state.operations;
        state.failing_syncs -= u64::from(fails);
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            inode.durable = survive(inode, &mut Dice::new(seed));
            inode.changes.clear();
            return Err(io::Error::other("the simulated sync failed"));
        }
        // Sectors that no change touched keep what the disk has: after a failed sync that is not what programs read.
        let changes = std::mem::take(&mut inode.changes);
        for change in &changes {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        if state.powerless {
            return Err(no_power());
        }
        Ok(state.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?.content.len() as u64)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Some(path) = &self.lock {
            self.disk.state().locks.remove(path);
        }
    }
}

impl Change {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = index(*at) + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[index(*at)..end].copy_from_slice(bytes);
            }
            Self::Length(len) => content.resize(index(*len), 0),
        }
    }
}

pub(super) fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn has_room(state: &State, inode: u64, end: usize) -> io::Result<()> {
    let Some(capacity) = state.capacity else { return Ok(()) };
    let linked = state.names.values().filter(|other| **other != inode);
    let others: usize = linked.filter_map(|other| state.inodes.get(other)).map(|other| other.content.len()).sum();
    if (others + end) as u64 > capacity { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

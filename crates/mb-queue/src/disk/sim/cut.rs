//! What is left after a power cut: a random, legal subset of everything that was not synced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::file::index;
use super::{Change, Inode, SimDisk, State};

const SECTOR: usize = 512;

/// A small generator of the same numbers for the same seed (splitmix64, Steele et al. 2014).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        index((mixed ^ (mixed >> 31)) % (most as u64 + 1))
    }
}

impl SimDisk {
    /// The disk as a restarted machine finds it; the same seed gives the same losses.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> SimDisk {
        let state = self.state();
        let mut dice = Dice::new(seed);
        let mut names = state.durable_names.clone();
        for change in &state.changed_names {
            if dice.up_to(1) == 1 {
                change.clone().apply(&mut names);
            }
        }
        let mut numbers: Vec<_> = state.inodes.keys().copied().collect();
        numbers.sort_unstable();
        let mut inodes = HashMap::new();
        for number in numbers {
            let durable = survive(&state.inodes[&number], &mut dice);
            inodes.insert(number, Inode { content: durable.clone(), durable, changes: Vec::new() });
        }
        let next_inode = state.next_inode;
        let fresh = State { inodes, next_inode, durable_names: names.clone(), names, ..State::default() };
        SimDisk(Arc::new(Mutex::new(fresh)))
    }
}

/// What of a file's unsynced changes reaches the disk: per sector any prefix of the writes to it, and a length that the
/// file had at some time.
pub(super) fn survive(inode: &Inode, dice: &mut Dice) -> Vec<u8> {
    let mut lengths = vec![inode.durable.len()];
    let mut writes: HashMap<usize, usize> = HashMap::new();
    for change in &inode.changes {
        let last = lengths[lengths.len() - 1];
        match change {
            Change::Write { at, bytes } => {
                lengths.push(last.max(index(*at) + bytes.len()));
                for sector in sectors(*at, bytes.len()) {
                    *writes.entry(sector).or_default() += 1;
                }
            }
            Change::Length(len) => lengths.push(index(*len)),
        }
    }
    let mut touched: Vec<_> = writes.into_iter().collect();
    touched.sort_unstable();
    let mut left: HashMap<usize, usize> =
        touched.into_iter().map(|(sector, count)| (sector, dice.up_to(count))).collect();
    let length = lengths[dice.up_to(lengths.len() - 1)];
    let mut durable = inode.durable.clone();
    for change in &inode.changes {
        let Change::Write { at, bytes } = change else { continue };
        for sector in sectors(*at, bytes.len()) {
            let left = left.entry(sector).or_default();
            if *left == 0 {
                continue;
            }
            *left -= 1;
            let start = index(*at).max(sector * SECTOR);
            let end = (index(*at) + bytes.len()).min((sector + 1) * SECTOR);
            if durable.len() < end {
                durable.resize(end, 0);
            }
            durable[start..end].copy_from_slice(&bytes[start - index(*at)..end - index(*at)]);
        }
    }
    durable.resize(length, 0);
    durable
}

fn sectors(at: u64, len: usize) -> std::ops::Range<usize> {
    index(at) / SECTOR..(index(at) + len).div_ceil(SECTOR)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn synced_content_under_a_synced_name_survives_every_cut() {
        let disk = SimDisk::new();
        let path = Path::new("d/a");
        let file = disk.create(path).expect("powered");
        file.write_at(&[7; 2000], 0).expect("powered");
        file.sync().expect("powered");
        disk.sync_dir(Path::new("d")).expect("powered");
        file.write_at(&[9; 1024], 0).expect("powered");
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let content = disk.after_power_cut(seed).content(path).expect("its name was synced");
            assert_eq!(content.len(), 2000);
            assert!(content[1024..].iter().all(|byte| *byte == 7));
            seen.insert((content[0], content[512]));
        }
        assert_eq!(seen.len(), 4, "each of the two unsynced sectors is kept or lost on its own: {seen:?}");
    }

    #[test]
    fn a_failed_sync_loses_data_that_a_later_sync_does_not_bring_back() {
        let disk = SimDisk::new();
        let path = Path::new("d/a");
        let file = disk.create(path).expect("powered");
        disk.sync_dir(Path::new("d")).expect("powered");
        file.write_at(&vec![7; 512 * 64], 0).expect("powered");
        disk.fail_syncs(1);
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        assert_eq!(disk.content(path), Some(vec![7; 512 * 64]), "programs still read it");
        assert_ne!(disk.after_power_cut(1).content(path), Some(vec![7; 512 * 64]));
    }

    #[test]
    fn nothing_works_without_power() {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("d/a")).expect("powered");
        disk.cut_power_at(disk.operations() + 1);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(disk.is_powerless());
        assert!(file.sync().is_err() && file.len().is_err() && disk.open(Path::new("d/a")).is_err());
    }
}

//! Copies of segments in which something acknowledged could not be read, for whoever may still rescue it.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, File};

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// The directory of the copies.
pub(crate) fn dir(journal: &Path) -> PathBuf {
    journal.join("damaged")
}

/// How many copies there are.
pub(crate) fn count(disk: &Disk, journal: &Path) -> io::Result<u64> {
    Ok(disk.list(&dir(journal), "seg")?.len() as u64)
}

/// Copies a segment, unless it was copied before: the first copy shows the damage as it was found.
pub(crate) fn copy(disk: &Disk, journal: &Path, segment: &Path, file: &File) -> io::Result<()> {
    let dir = dir(journal);
    let Some(target) = segment.file_name().map(|name| dir.join(name)) else { return Ok(()) };
    if disk.list(&dir, "seg")?.contains(&target) {
        return Ok(());
    }
    write(disk, &dir, &target, file)
}

/// Copies a segment without a readable header, which is removed afterwards: its name says nothing of whether another one
/// was copied under it before, so it gets one of its own.
pub(crate) fn copy_headless(disk: &Disk, journal: &Path, segment: &Path, file: &File) -> io::Result<()> {
    let dir = dir(journal);
    let taken = disk.list(&dir, "seg")?;
    let stem = segment.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let names = std::iter::once(format!("{stem}.seg")).chain((2_u64..).map(|count| format!("{stem}-{count}.seg")));
    match names.map(|name| dir.join(name)).find(|target| !taken.contains(target)) {
        Some(target) => write(disk, &dir, &target, file),
        None => Ok(()),
    }
}

fn write(disk: &Disk, dir: &Path, target: &Path, file: &File) -> io::Result<()> {
    let temporary = target.with_extension("tmp");
    let copy = disk.create(&temporary)?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut piece, at)?;
        copy.write_all_at(&piece[..read], at)?;
        at += read as u64;
        if read < piece.len() {
            break;
        }
    }
    copy.sync_all()?;
    drop(copy);
    disk.rename(&temporary, target)?;
    disk.sync_dir(dir)
}

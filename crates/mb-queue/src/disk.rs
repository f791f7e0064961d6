//! The disk as the journal uses it: the machine's, or one in memory that can lose power.
//!
//! Everything durable goes through here, so that a test can stop the power between any two operations. Both kinds
//! promise the same and no more: what was not synced may be lost in part, and a name counts only after its directory
//! was synced.

mod real;
pub(crate) mod sim;

use std::io;
use std::path::{Path, PathBuf};

use sim::{SimDisk, SimFile};

/// The piece that a bad place on the disk costs.
const PAGE: usize = 4096;

/// Where the journal's files live.
#[derive(Clone, Debug, Default)]
pub enum Disk {
    /// The machine's file system.
    #[default]
    Real,
    /// A file system in memory that tears, drops and reorders what was not synced.
    Simulated(SimDisk),
}

/// An open file; reads and writes name their place, so threads can share it.
#[derive(Debug)]
pub(crate) enum File {
    Real(std::fs::File),
    Simulated(SimFile),
}

impl Disk {
    pub(crate) fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        match self {
            Self::Real => real::create_dir_all(dir),
            Self::Simulated(disk) => disk.check_power(),
        }
    }

    /// Creates an empty file, or empties the one there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        match self {
            Self::Real => real::options().create(true).truncate(true).open(path).map(File::Real),
            Self::Simulated(disk) => disk.create(path).map(File::Simulated),
        }
    }

    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        match self {
            Self::Real => real::options().open(path).map(File::Real),
            Self::Simulated(disk) => disk.open(path).map(File::Simulated),
        }
    }

    /// The files in a directory whose names end in this extension, sorted.
    pub(crate) fn list(&self, dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
        let mut paths = match self {
            Self::Real => real::list(dir),
            Self::Simulated(disk) => disk.list(dir),
        }?;
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort_unstable();
        Ok(paths)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::rename(from, to),
            Self::Simulated(disk) => disk.rename(from, to),
        }
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::remove_file(path),
            Self::Simulated(disk) => disk.remove(path),
        }
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self {
            Self::Real => real::sync_dir(dir),
            Self::Simulated(disk) => disk.sync_dir(dir),
        }
    }

    /// Takes an exclusive lock that ends with the handle; `None` if someone else has it.
    pub(crate) fn lock(&self, path: &Path) -> io::Result<Option<File>> {
        match self {
            Self::Real => Ok(real::lock(path)?.map(File::Real)),
            Self::Simulated(disk) => Ok(disk.lock(path)?.map(File::Simulated)),
        }
    }

    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Replaces a file so that, whenever the power goes, either the old or the new content is there.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        let file = self.create(&temporary)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
        drop(file);
        self.rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

impl File {
    /// Reads what is there, at most `buf.len()` bytes; less only at the end of the file.
    pub(crate) fn read_at(&self, mut buf: &mut [u8], mut at: u64) -> io::Result<usize> {
        let mut total = 0;
        while !buf.is_empty() {
            let read = match self {
                Self::Real(file) => match real::read_at(file, buf, at) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                },
                Self::Simulated(file) => file.read_at(buf, at)?,
            };
            if read == 0 {
                break;
            }
            total += read;
            at += read as u64;
            buf = &mut buf[read..];
        }
        Ok(total)
    }

    /// The same, page by page where that fails, so that one bad place on the disk does not hide the rest; what cannot be
    /// read is blank. An error if nothing can be read: then the disk is away, not damaged.
    pub(crate) fn read_sound_at(&self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        let error = match self.read_at(buf, at) {
            Err(error) => error,
            read => return read,
        };
        let len = buf.len();
        buf.fill(0);
        let pages = buf.chunks_mut(PAGE).zip((at..).step_by(PAGE));
        let sound = pages.filter_map(|(page, at)| self.read_at(page, at).ok()).filter(|read| *read > 0).count();
        if sound > 0 { Ok(len) } else { Err(error) }
    }

    pub(crate) fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        if self.read_at(buf, at)? < buf.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    pub(crate) fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Real(file) => match real::write_at(file, bytes, at) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                },
                Self::Simulated(file) => file.write_at(bytes, at)?,
            };
            at += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Makes the content durable: `fdatasync` on Linux.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_data(),
            Self::Simulated(file) => file.sync(),
        }
    }

    /// Makes content and length durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_all(),
            Self::Simulated(file) => file.sync(),
        }
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Self::Real(file) => Ok(file.metadata()?.len()),
            Self::Simulated(file) => file.len(),
        }
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.set_len(len),
            Self::Simulated(file) => file.set_len(len),
        }
    }
}

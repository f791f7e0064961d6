//! A sealed file, written and read as a stream: sealed, hashed, counted, brought to the disk.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use mb_crypto::backup_key::{BackupKey, Sealing};
use mb_crypto::{Sha256, files};

use super::error::BackupError;
use super::manifest::FileMark;
use super::progress::Progress;

/// Read and written at once.
pub(super) const BLOCK: usize = 256 << 10;

/// A sealed file that is being written.
pub(super) struct SealedFile<'a> {
    path: &'a Path,
    sealing: Sealing<Counted>,
    progress: &'a Progress,
}

impl<'a> SealedFile<'a> {
    pub(super) fn create(path: &'a Path, key: &BackupKey, progress: &'a Progress) -> Result<Self, BackupError> {
        let file = files::create_private(path)?;
        let counted = Counted { file: BufWriter::with_capacity(BLOCK, file), digest: Sha256::default(), size: 0 };
        let sealing = key.seal(counted).map_err(BackupError::io("write", path))?;
        Ok(Self { path, sealing, progress })
    }

    /// Ends it and brings it to the disk.
    pub(super) fn finish(self) -> Result<FileMark, BackupError> {
        let failed = || BackupError::io("write", self.path);
        let mut counted = self.sealing.finish().map_err(failed())?;
        counted.file.flush().map_err(failed())?;
        counted.file.get_ref().sync_all().map_err(failed())?;
        Ok(FileMark { size: counted.size, sha256: counted.digest.finish() })
    }
}

impl Write for SealedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sealing.write(bytes)?;
        self.progress.add(written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sealing.flush()
    }
}

struct Counted {
    file: BufWriter<File>,
    digest: Sha256,
    size: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether the file is the one that the manifest names, byte by byte.
pub(super) fn check(path: &Path, mark: &FileMark, progress: &Progress) -> Result<(), BackupError> {
    let mut file = File::open(path).map_err(BackupError::io("open", path))?;
    let (mut digest, mut block) = (Sha256::default(), vec![0; BLOCK]);
    loop {
        let read = file.read(&mut block).map_err(BackupError::io("read", path))?;
        if read == 0 {
            break;
        }
        digest.update(&block[..read]);
        progress.add(read).map_err(BackupError::io("read", path))?;
    }
    if digest.finish() == mark.sha256 {
        Ok(())
    } else {
        Err(BackupError::broken(path, "its SHA-256 is not the manifest's: it was damaged or replaced"))
    }
}

/// What is sealed in the file; reading it proves that it is genuine and whole.
pub(super) fn open(path: &Path, key: &BackupKey) -> Result<Box<dyn Read>, BackupError> {
    let file = File::open(path).map_err(BackupError::io("open", path))?;
    Ok(key.open(BufReader::with_capacity(BLOCK, file))?)
}

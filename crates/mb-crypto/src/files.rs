//! Files that hold keys and certificates: written so that a crash leaves the old or the new one, never half of one, and
//! read only if nobody else can read them.
//!
//! A file is written beside its place, flushed, renamed over it, and the directory is flushed. The operating systems
//! differ in permissions and in flushing directories; both stand in the module at the end.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use mb_core::{KeyId, Secret};

use crate::{CryptoError, random};

/// No key or certificate is larger; a larger file is not what was meant.
const MAX_BYTES: u64 = 1024 * 1024;

/// Who may read a new file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    /// Its owner alone: 0600.
    Private,
    /// Everyone: 0644.
    Public,
}

/// Writes or replaces a file that only its owner can read. Missing directories are made, for their owner alone.
///
/// # Errors
/// [`CryptoError::File`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CryptoError> {
    write(path, bytes, Access::Private)
}

/// Writes or replaces a file that everyone can read. Missing directories are made, for their owner alone.
///
/// # Errors
/// [`CryptoError::File`].
pub fn write_public(path: &Path, bytes: &[u8]) -> Result<(), CryptoError> {
    write(path, bytes, Access::Public)
}

/// A new file that only its owner can read, for what is too long to be written at once. It must not be there yet; its
/// directory is made if it is missing, for its owner alone.
///
/// # Errors
/// [`CryptoError::File`].
pub fn create_private(path: &Path) -> Result<File, CryptoError> {
    create(path, Access::Private)
}

/// The same for a file that everyone can read.
///
/// # Errors
/// [`CryptoError::File`].
pub fn create_public(path: &Path) -> Result<File, CryptoError> {
    create(path, Access::Public)
}

/// Makes a directory for its owner alone, and those above it that are missing.
///
/// # Errors
/// [`CryptoError::File`].
pub fn create_directory(path: &Path) -> Result<(), CryptoError> {
    system::create_directories(path).map_err(failed("create directory", path))
}

/// Brings to the disk which files a directory has.
///
/// # Errors
/// [`CryptoError::File`].
pub fn flush_directory(path: &Path) -> Result<(), CryptoError> {
    system::flush_directory(path).map_err(failed("flush directory", path))
}

fn create(path: &Path, access: Access) -> Result<File, CryptoError> {
    if let Some(directory) = path.parent() {
        create_directory(directory)?;
    }
    system::create(path, access).map_err(failed("create", path))
}

/// Reads a text that must be kept from others.
///
/// # Errors
/// [`CryptoError::Exposed`] if others can read the file, [`CryptoError::File`] if it cannot be read.
pub fn read_private(path: &Path) -> Result<Secret<String>, CryptoError> {
    let file = File::open(path).map_err(failed("open", path))?;
    if let Some(mode) = system::exposed(&file).map_err(failed("inspect", path))? {
        return Err(CryptoError::Exposed { path: path.to_owned(), mode });
    }
    read(file, path).map(Secret::new)
}

/// Reads a text that anyone may read.
///
/// # Errors
/// [`CryptoError::File`] if it cannot be read.
pub fn read_public(path: &Path) -> Result<String, CryptoError> {
    read(File::open(path).map_err(failed("open", path))?, path)
}

/// The random id that is kept in the file at `path`; made where there is none that can be read.
///
/// # Errors
/// [`CryptoError::File`] if it cannot be written.
pub fn kept_id(path: &Path) -> Result<KeyId, CryptoError> {
    let kept = read_public(path).ok().and_then(|text| KeyId::parse(text.trim()));
    if let Some(id) = kept {
        return Ok(id);
    }
    let id = KeyId::from_bytes(random::random_array());
    write_public(path, format!("{id}\n").as_bytes())?;
    Ok(id)
}

fn read(file: File, path: &Path) -> Result<String, CryptoError> {
    let length = file.metadata().map_err(failed("inspect", path))?.len();
    if length > MAX_BYTES {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "larger than any key or certificate");
        return Err(failed("read", path)(error));
    }
    // Allocated once and in full: growing would leave copies of a secret behind.
    let mut text = String::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(text)
}

fn write(path: &Path, bytes: &[u8], access: Access) -> Result<(), CryptoError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    system::create_directories(directory).map_err(failed("create directory", directory))?;
    let temporary = temporary_name(path)?;
    let written = write_and_rename(&temporary, path, bytes, access);
    if written.is_err() {
        // The write's own error is the one to report; a left-over name is random and harms nobody.
        fs::remove_file(&temporary).ok();
    }
    written?;
    system::flush_directory(directory).map_err(failed("flush directory", directory))
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8], access: Access) -> Result<(), CryptoError> {
    let mut file = system::create(temporary, access).map_err(failed("create", temporary))?;
    file.write_all(bytes).map_err(failed("write", temporary))?;
    file.sync_all().map_err(failed("flush", temporary))?;
    drop(file);
    fs::rename(temporary, path).map_err(failed("replace", path))
}

fn temporary_name(path: &Path) -> Result<PathBuf, CryptoError> {
    let name = path
        .file_name()
        .ok_or_else(|| failed("write", path)(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file")))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", mb_core::hex::encode(&random::random_array::<8>())));
    Ok(path.with_file_name(temporary))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CryptoError {
    move |source| CryptoError::File { action, path: path.to_owned(), source }
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
    use std::path::Path;

    use super::Access;

    pub(super) fn create(path: &Path, access: Access) -> io::Result<File> {
        let mode = match access {
            Access::Private => 0o600,
            Access::Public => 0o644,
        };
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
    }

    pub(super) fn create_directories(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    pub(super) fn flush_directory(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// The permission bits of a file that others than its owner can use.
    pub(super) fn exposed(file: &File) -> io::Result<Option<u32>> {
        let mode = file.metadata()?.permissions().mode() & 0o777;
        Ok((mode & 0o077 != 0).then_some(mode))
    }
}

/// On Windows the data directory's access list is inherited (contract, section 7: administrators and the service
/// account; the installer sets it), and the file system's journal keeps a rename that returned.
#[cfg(windows)]
mod system {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::Access;

    pub(super) fn create(path: &Path, _access: Access) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    pub(super) fn create_directories(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).create(path)
    }

    pub(super) fn flush_directory(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn exposed(_file: &File) -> io::Result<Option<u32>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

//! Folders of the data directory: made with modes that are said, and refused where others can write into them.

use std::path::Path;

use anyhow::{Context, Result};

/// Who can list a new folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Readers {
    /// Everybody: 0755.
    All,
    /// Its owner alone: 0700.
    Owner,
}

/// Makes a folder and those above it that are missing; one that is there stays as it is.
pub(super) fn make(path: &Path, readers: Readers) -> Result<()> {
    system::make(path, readers).with_context(|| format!("create {}", path.display()))
}

/// Refuses a folder into which others than its owner can write.
pub(super) fn check(path: &Path) -> Result<()> {
    let writable = system::writable(path).with_context(|| format!("look at {}", path.display()))?;
    if let Some(mode) = writable {
        anyhow::bail!(
            "others can write into {} (mode {mode:03o}): chmod go-w it, and see what is in it",
            path.display()
        );
    }
    Ok(())
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    use std::path::Path;

    use super::Readers;

    pub(super) fn make(path: &Path, readers: Readers) -> io::Result<()> {
        let mode = match readers {
            Readers::All => 0o755,
            Readers::Owner => 0o700,
        };
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)
    }

    /// The mode of a folder into which its group or everybody can write.
    pub(super) fn writable(path: &Path) -> io::Result<Option<u32>> {
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        Ok((mode & 0o022 != 0).then_some(mode))
    }
}

/// On Windows the data directory's access list is inherited; the installer sets it.
#[cfg(windows)]
mod system {
    use std::io;
    use std::path::Path;

    use super::Readers;

    pub(super) fn make(path: &Path, _readers: Readers) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    pub(super) fn writable(_path: &Path) -> io::Result<Option<u32>> {
        Ok(None)
    }
}

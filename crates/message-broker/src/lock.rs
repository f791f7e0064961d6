//! One process per role and data directory, and how others find it.
//!
//! The holder introduces itself in a second file: on Windows a locked file cannot be read by others.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// How long a command on a stopped system may hold the lock before a start gives up.
const COMMAND: Duration = Duration::from_secs(3);

/// What the holder of a lock says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Where it answers, if it serves.
    pub url: Option<String>,
}

/// A held lock; dropping it, or the end of the process, frees it.
#[derive(Debug)]
pub struct RoleLock {
    _file: File,
    holder: PathBuf,
}

impl RoleLock {
    /// Takes the lock of `role`. A command on a stopped system holds it for a moment: whoever does not serve is waited for.
    ///
    /// # Errors
    /// Another process serves or holds it for long, or the file cannot be opened.
    pub fn take(layout: &Layout, role: &str) -> Result<Self> {
        let give_up = Instant::now() + COMMAND;
        loop {
            let holder = match Self::try_take(layout, role)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            let serves = holder.as_ref().is_some_and(|holder| holder.url.is_some());
            if serves || Instant::now() >= give_up {
                let by = holder.map_or_else(String::new, |holder| format!(" (process {})", holder.pid));
                bail!("the data directory {} is in use by another {role}{by}", layout.root().display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Takes the lock, or says who holds it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn try_take(layout: &Layout, role: &str) -> Result<Result<Self, Option<Holder>>> {
        let path = layout.lock(role);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self { _file: file, holder: layout.lock_holder(role) };
                // Whoever waits may not see by whom it is held. A full disk keeps nobody from handing over what is journalled.
                if let Err(error) = lock.announce(None) {
                    tracing::warn!(error = format!("{error:#}"), "lock held, its holder not named");
                }
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => {
                let text = std::fs::read_to_string(layout.lock_holder(role)).ok();
                Ok(Err(text.and_then(|text| serde_json::from_str(&text).ok())))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Says where this process answers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, url: Option<String>) -> Result<()> {
        let text = serde_json::to_string(&Holder { pid: std::process::id(), url })?;
        mb_crypto::files::write_public(&self.holder, text.as_bytes()).context("announce the lock's holder")
    }
}

impl Drop for RoleLock {
    fn drop(&mut self) {
        // Still locked: this cannot hit the file of a next holder. What a crash leaves, the next holder replaces.
        let _ = std::fs::remove_file(&self.holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_is_free_after_drop() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let lock = RoleLock::take(&layout, "main-server").expect("free");
        lock.announce(Some("https://localhost:8000".into())).expect("written");
        let refused = RoleLock::try_take(&layout, "main-server").expect("readable").expect_err("held");
        assert_eq!(refused.and_then(|holder| holder.url).as_deref(), Some("https://localhost:8000"));
        assert!(format!("{:#}", RoleLock::take(&layout, "main-server").expect_err("held")).contains("in use"));
        assert!(RoleLock::take(&layout, "proxy").is_ok(), "locks are per role");
        let command = RoleLock::take(&layout, "portal").expect("free");
        std::thread::scope(|scope| {
            let start = scope.spawn(|| RoleLock::take(&layout, "portal").map(drop));
            drop(command);
            assert!(start.join().expect("no panic").is_ok(), "a command is waited for");
        });
        drop(lock);
        assert!(!layout.lock_holder("main-server").exists(), "a free lock names nobody");
        assert!(RoleLock::take(&layout, "main-server").is_ok());
    }
}

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
    /// Where it answers, once it does.
    pub url: Option<String>,
    /// What it holds the lock for.
    #[serde(default)]
    pub purpose: Purpose,
}

/// What a lock is held for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// For as long as a command takes.
    #[default]
    Command,
    /// Until somebody stops the process.
    Serve,
}

/// A held lock; dropping it, or the end of the process, frees it.
#[derive(Debug)]
pub struct RoleLock {
    _file: File,
    holder: PathBuf,
    purpose: Purpose,
    /// Why others are not told who holds it.
    nameless: Option<String>,
}

impl RoleLock {
    /// Takes the lock of `role`. A command on a stopped system holds it for a moment: whoever does not serve is waited for.
    ///
    /// # Errors
    /// Another process serves or holds it for long, or the file cannot be opened.
    pub fn take(layout: &Layout, role: &str, purpose: Purpose) -> Result<Self> {
        let give_up = Instant::now() + COMMAND;
        loop {
            let holder = match Self::try_take(layout, role, purpose)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            let serves = holder.as_ref().is_some_and(|holder| holder.purpose == Purpose::Serve);
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
    pub fn try_take(layout: &Layout, role: &str, purpose: Purpose) -> Result<Result<Self, Option<Holder>>> {
        let path = layout.lock(role);
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                let mut lock = Self { _file: file, holder: layout.lock_holder(role), purpose, nameless: None };
                lock.sweep();
                // Whoever waits may not see by whom it is held. A full disk keeps nobody from handing over what is journalled.
                lock.nameless = lock.announce(None).err().map(|error| format!("{error:#}"));
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => {
                let text = std::fs::read_to_string(layout.lock_holder(role)).ok();
                Ok(Err(text.and_then(|text| serde_json::from_str(&text).ok())))
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Why others cannot see who holds it, if so; it is held all the same.
    pub fn nameless(&self) -> Option<&str> {
        self.nameless.as_deref()
    }

    /// Removes what announcements leave that a kill cut short; nobody else announces while the lock is held.
    fn sweep(&self) {
        let (Some(folder), Some(name)) = (self.holder.parent(), self.holder.file_name()) else { return };
        let begin = format!(".{}.", name.to_string_lossy());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&begin) && name.ends_with(".tmp") {
                // It harms nobody; the next holder tries again.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Says where this process answers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, url: Option<String>) -> Result<()> {
        let text = serde_json::to_string(&Holder { pid: std::process::id(), url, purpose: self.purpose })?;
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
        let lock = RoleLock::take(&layout, "main-server", Purpose::Serve).expect("free");
        lock.announce(Some("https://localhost:8000".into())).expect("written");
        let refused = RoleLock::try_take(&layout, "main-server", Purpose::Command).expect("readable");
        let refused = refused.expect_err("held");
        assert_eq!(refused.and_then(|holder| holder.url).as_deref(), Some("https://localhost:8000"));
        assert!(RoleLock::take(&layout, "proxy", Purpose::Command).is_ok(), "locks are per role");
        drop(lock);
        assert!(!layout.lock_holder("main-server").exists(), "a free lock names nobody");
        assert!(RoleLock::take(&layout, "main-server", Purpose::Serve).is_ok());
    }

    #[test]
    fn who_serves_is_not_waited_for_and_who_runs_a_command_is() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let serving = RoleLock::take(&layout, "worker", Purpose::Serve).expect("free");
        let asked = Instant::now();
        let refused = RoleLock::take(&layout, "worker", Purpose::Serve).expect_err("held");
        assert!(format!("{refused:#}").contains("in use by another worker (process "), "{refused:#}");
        assert!(asked.elapsed() < COMMAND / 2, "{:?}", asked.elapsed());
        drop(serving);
        let command = RoleLock::take(&layout, "portal", Purpose::Command).expect("free");
        std::thread::scope(|scope| {
            let start = scope.spawn(|| RoleLock::take(&layout, "portal", Purpose::Serve).map(drop));
            std::thread::sleep(Duration::from_millis(120));
            assert!(!start.is_finished(), "a command is waited for");
            drop(command);
            assert!(start.join().expect("no panic").is_ok());
        });
    }

    #[test]
    fn what_a_kill_left_of_an_announcement_goes_with_the_next_holder() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let beside = |name: &str| layout.lock_holder("worker").with_file_name(name);
        let (left, others) = (beside(".worker.json.0011223344556677.tmp"), beside(".portal.json.0011223344556677.tmp"));
        for path in [&left, &others] {
            std::fs::write(path, "{").expect("written");
        }
        let lock = RoleLock::take(&layout, "worker", Purpose::Command).expect("free");
        assert!(!left.exists() && others.exists(), "another role's may be in work");
        assert!(layout.lock_holder("worker").exists());
        drop(lock);
    }

    #[test]
    fn a_lock_is_held_though_its_holder_cannot_be_named() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        // In the way of the file, as a full disk is.
        std::fs::create_dir_all(layout.lock_holder("proxy").join("in the way")).expect("created");
        let lock = RoleLock::take(&layout, "proxy", Purpose::Serve).expect("held all the same");
        assert!(lock.nameless().is_some_and(|why| why.contains("announce")), "{:?}", lock.nameless());
        let refused = RoleLock::try_take(&layout, "proxy", Purpose::Command).expect("readable");
        assert_eq!(refused.expect_err("held"), None, "by nobody knows whom");
    }
}

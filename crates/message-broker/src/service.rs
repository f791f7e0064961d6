//! Running as services of the operating system: what each is called, how they are installed, and what a running one tells.
//!
//! The two systems differ in everything but the words of the command line, so each has a file of its own that says the same
//! things: `systemd` on Linux, `scm` on Windows. No service requires another one: each component waits by itself for what it
//! needs, and a proxy has to accept while everything else is away.

#[cfg(any(windows, test))]
pub(crate) mod acl;
#[cfg(windows)]
pub(crate) mod scm;
pub mod split;
mod starter;
mod supervisor;
#[cfg(unix)]
pub(crate) mod systemd;

use std::path::PathBuf;

use anyhow::Result;
use mb_core::{Role, Secret};
use serde::Serialize;

use crate::layout::Layout;
use crate::lock::{Purpose, RoleLock};

pub use supervisor::Supervisor;

/// What one service runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// API, database, authority, keys.
    MainServer,
    /// Takes messages in.
    Proxy,
    /// Registers and delivers them.
    Worker,
    /// Pages for people.
    Portal,
    /// All four in one process.
    Up,
}

impl Part {
    /// The four components, in the order in which they are best started.
    pub const COMPONENTS: [Self; 4] = [Self::MainServer, Self::Proxy, Self::Worker, Self::Portal];
    /// Everything that a service can run.
    pub const ALL: [Self; 5] = [Self::MainServer, Self::Proxy, Self::Worker, Self::Portal, Self::Up];

    /// The command that it runs; also the name of its lock.
    pub const fn command(self) -> &'static str {
        match self {
            Self::MainServer => "main-server",
            Self::Proxy => "proxy",
            Self::Worker => "worker",
            Self::Portal => "portal",
            Self::Up => "up",
        }
    }

    /// The role whose secrets it needs; `None` needs all.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::MainServer => Some(Role::Server),
            Self::Proxy => Some(Role::Proxy),
            Self::Worker => Some(Role::Worker),
            Self::Portal => Some(Role::Portal),
            Self::Up => None,
        }
    }

    /// The lock that tells whether it runs: a process of all four holds the main server's among others.
    const fn lock(self) -> &'static str {
        match self {
            Self::Up => "main-server",
            part => part.command(),
        }
    }
}

/// How services are to be installed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which.
    pub parts: Vec<Part>,
    /// The data directory; with secrets apart, what the roles' own directories are named after.
    pub data_dir: PathBuf,
    /// The program that they run.
    pub program: PathBuf,
    /// Below this instead of the system's own root, where nothing is started.
    pub root: Option<PathBuf>,
    /// The account they run under; nothing: the usual one, or one for each role.
    pub account: Option<String>,
    /// Windows: that account's password.
    pub password: Option<Secret<String>>,
    /// Whether each role has a directory and an account of its own.
    pub apart: bool,
}

/// A service as it is now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// What it runs.
    pub part: Part,
    /// What the operating system calls it.
    pub service: String,
    /// Whether it is installed.
    pub installed: bool,
    /// Whether it starts with the machine; `null` if nobody can be asked.
    pub enabled: Option<bool>,
    /// What the operating system says it does.
    pub state: String,
    /// The process that runs it: of the service, or one that somebody started by hand on its data directory.
    pub pid: Option<u32>,
    /// Its data directory.
    pub data_dir: PathBuf,
}

/// The process that serves `part` on `data_dir`, whoever started it.
///
/// # Errors
/// The lock cannot be looked at.
pub fn holder(data_dir: &std::path::Path, part: Part) -> Result<Option<u32>> {
    let layout = Layout::new(data_dir);
    if !layout.lock(part.lock()).exists() {
        return Ok(None);
    }
    let held = RoleLock::try_take(&layout, part.lock(), Purpose::Command)?.err().flatten();
    Ok(held.filter(|holder| holder.purpose == Purpose::Serve).map(|holder| holder.pid))
}

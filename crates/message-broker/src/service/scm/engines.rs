//! Which services of this machine others have to wait for.

use std::path::Path;
use std::process::Command;

use crate::config::{QueueBackend, Resolved};
use crate::layout::Layout;
use crate::service::Part;

/// The names of all services, as the registry lists them; none if it does not.
pub(super) fn present() -> Vec<String> {
    let listed = Command::new("reg.exe").args(["query", r"HKLM\SYSTEM\CurrentControlSet\Services"]).output();
    let text = listed.map_or_else(|_| String::new(), |listed| String::from_utf8_lossy(&listed.stdout).into_owned());
    text.lines().filter_map(|line| Some(line.trim().rsplit_once('\\')?.1.to_owned())).collect()
}

/// The services that `part` is started after: engines that its settings use and that are here. Settings that cannot be read
/// name none; they stop the start by themselves.
pub(super) fn needed(part: Part, data_dir: &Path, present: &[String]) -> Vec<String> {
    let Ok(resolved) = Resolved::of(&Layout::new(data_dir)) else { return Vec::new() };
    let names: &[&str] = match part {
        Part::MainServer if !resolved.config.store.is_embedded() => &["mysql", "mariadb"],
        Part::Worker if resolved.config.queue.backend == QueueBackend::Redis => &["memurai", "redis"],
        _ => &[],
    };
    let begins = |service: &&String| names.iter().any(|name| service.to_lowercase().starts_with(name));
    present.iter().filter(begins).take(1).cloned().collect()
}

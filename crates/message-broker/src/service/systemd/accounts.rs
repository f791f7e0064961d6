//! The accounts that services run under, and what only they may read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::below;

/// Makes the accounts of a file of that name among those of systemd-sysusers, below another root in that root's own lists.
///
/// # Errors
/// systemd-sysusers is not there or refuses.
pub(super) fn make(root: Option<&Path>, file: &str) -> Result<()> {
    let mut command = Command::new("systemd-sysusers");
    if let Some(root) = root {
        let mut whole = std::ffi::OsString::from("--root=");
        whole.push(root);
        command.arg(whole);
    }
    let output = command.arg(file).output().context("run systemd-sysusers, which makes accounts")?;
    if !output.status.success() {
        bail!("systemd-sysusers: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// User and group of an account, as numbers.
///
/// # Errors
/// There is none of that name.
pub(super) fn owner(root: Option<&Path>, name: &str) -> Result<(u32, u32)> {
    let list = std::fs::read_to_string(below(root, "etc/passwd")).unwrap_or_default();
    let known = entry(&list, name);
    let elsewhere = || {
        // Accounts may come from a directory service, too.
        let output = Command::new("getent").args(["passwd", name]).output().ok()?;
        entry(&String::from_utf8_lossy(&output.stdout), name)
    };
    let found = known.or_else(|| root.is_none().then(elsewhere).flatten());
    found.with_context(|| format!("there is no account {name}"))
}

fn entry(list: &str, name: &str) -> Option<(u32, u32)> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (user, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (user == name).then(|| Some((uid.parse().ok()?, gid.parse().ok()?))).flatten()
    })
}

/// Takes from everybody but the owner what a data directory keeps private: the directory, its secrets, keys and settings.
///
/// # Errors
/// A mode cannot be set.
pub(super) fn close_private(data_dir: &Path) -> Result<()> {
    set_mode(data_dir, 0o700)?;
    set_mode(&data_dir.join("secrets"), 0o700)?;
    let is_key = |path: &Path| path.extension().is_some_and(|extension| extension == "key" || extension == "p12");
    for (folder, all) in [("secrets", true), ("certs", false)] {
        for path in files(&data_dir.join(folder))?.iter().filter(|path| all || is_key(path)) {
            set_mode(path, 0o600)?;
        }
    }
    for name in [".env", "message-broker.toml", "message-broker.db"] {
        let path = data_dir.join(name);
        if path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            set_mode(&path, 0o600)?;
        }
    }
    Ok(())
}

/// The files of a folder and below, links left out: who works there may have put them there.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = folder.read_dir() else { return Ok(found) };
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        let kind = path.symlink_metadata().with_context(|| format!("look at {}", path.display()))?;
        if kind.is_dir() {
            found.extend(files(&path)?);
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, mode).with_context(|| format!("close {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let list = "root:x:0:0::/root:/bin/sh\nmessage-broker-proxy:x:997:996:a:/b:/c\n";
        assert_eq!(entry(list, "message-broker-proxy"), Some((997, 996)));
        assert_eq!(entry(list, "message-broker"), None);
    }

    #[test]
    fn what_is_private_is_closed_and_no_link_is_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("temporary folder");
        let elsewhere = tempfile::NamedTempFile::new().expect("a file");
        let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        set_mode(elsewhere.path(), 0o644).expect("opened");
        for name in ["secrets", "certs/clients/a"] {
            std::fs::create_dir_all(dir.path().join(name)).expect("created");
        }
        for name in ["secrets/encryption.key", "certs/ca.key", "certs/clients/a/a.key", "certs/ca.crt", ".env"] {
            std::fs::write(dir.path().join(name), "x").expect("written");
            set_mode(&dir.path().join(name), 0o644).expect("opened");
        }
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("certs/link.key")).expect("linked");
        close_private(dir.path()).expect("closed");
        for name in ["secrets/encryption.key", "certs/ca.key", "certs/clients/a/a.key", ".env"] {
            assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
        }
        assert_eq!((mode(dir.path()), mode(&dir.path().join("certs/ca.crt"))), (0o700, 0o644));
        assert_eq!(mode(elsewhere.path()), 0o644);
    }
}

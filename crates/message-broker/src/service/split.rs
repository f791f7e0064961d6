//! One data directory for each role, with what that role needs and nothing else (design, section 10).
//!
//! The proxy that faces the internet then cannot read the authority's key, the master key, or the database's password,
//! whatever becomes of it. Each directory is its owner's alone; the owners are accounts that exist.

use std::path::{Path, PathBuf};

#[cfg(windows)]
use anyhow::bail;
use anyhow::{Context, Result, ensure};
use mb_core::Role;

use super::Part;
use crate::config::{self, Config, Named, Resolved};
use crate::layout::Layout;
use crate::lock::{Purpose, RoleLock};

/// Sections of the settings that are the main server's alone.
const SERVERS_SECTIONS: [&str; 4] = ["store", "mail", "backup", "pki"];
/// The same of single keys.
const SERVERS_KEYS: [&str; 1] = ["server.encryption_key"];
/// What the secrets of the queue begin with, with which a portal has nothing to do. All others are the main server's.
const QUEUES_SECRETS: &str = "REDIS_";
/// The queue's section.
const QUEUES_SECTION: &str = "redis";

/// What is kept while the system runs, and whose it is from now on.
const KEPT: [(Part, &str); 9] = [
    (Part::Proxy, "journal"),
    (Part::Proxy, "proxy"),
    (Part::MainServer, "message-broker.db"),
    (Part::MainServer, "message-broker.db-wal"),
    (Part::MainServer, "message-broker.db-shm"),
    (Part::MainServer, "certs/clients"),
    (Part::MainServer, "locks/main-server.id"),
    (Part::MainServer, "backups"),
    (Part::MainServer, "logs"),
];

/// A directory for one role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Who works there.
    pub part: Part,
    /// The directory.
    pub dir: PathBuf,
    /// User and group that it is given to; `None` leaves it with who makes it.
    pub owner: Option<(u32, u32)>,
}

/// Makes the directories, each with what its role needs.
///
/// # Errors
/// There is no installation, a directory is not empty, a file cannot be read, written or given away.
pub fn fill(from: &Layout, seats: &[Seat]) -> Result<()> {
    ensure!(from.ca_certificate().exists(), "there is no installation in {}", from.root().display());
    let resolved = Resolved::of(from)?;
    for seat in seats {
        ensure!(is_empty(&seat.dir)?, "{} is not empty", seat.dir.display());
        let role = seat.part.role().context("a directory is for one role")?;
        // Under another name until it is whole: what a crash leaves is not taken for a role's directory.
        let mut unfinished = seat.dir.clone().into_os_string();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
        }
        fill_one(from, &resolved.config, role, &Layout::new(&unfinished))?;
        if let Some((uid, gid)) = seat.owner {
            give(&unfinished, uid, gid)?;
        }
        if seat.dir.exists() {
            std::fs::remove_dir(&seat.dir).with_context(|| format!("make room at {}", seat.dir.display()))?;
        }
        std::fs::rename(&unfinished, &seat.dir).with_context(|| format!("name {}", seat.dir.display()))?;
    }
    Ok(())
}

/// Makes the directories that are not there yet, and moves what a stopped system keeps - journal, database, clients'
/// certificates - to whom it belongs from now on. May be repeated after it was broken off.
///
/// # Errors
/// A role runs on the directory of all; as [`fill`]; a file cannot be moved: not to another file system.
pub fn move_apart(from: &Layout, seats: &[Seat]) -> Result<()> {
    from.create()?;
    let take = |part: &Part| RoleLock::take(from, part.command(), Purpose::Command);
    let locks = Part::COMPONENTS.iter().map(take).collect::<Result<Vec<_>>>().context("stop the services first")?;
    let mut new = Vec::new();
    for seat in seats {
        if is_empty(&seat.dir)? {
            new.push(seat.clone());
        }
    }
    if !new.is_empty() {
        fill(from, &new)?;
    }
    for seat in seats {
        for (_, name) in KEPT.iter().filter(|(part, _)| *part == seat.part) {
            move_one(&from.root().join(name), &seat.dir.join(name), seat.owner)?;
        }
    }
    drop(locks);
    Ok(())
}

fn move_one(old: &Path, new: &Path, owner: Option<(u32, u32)>) -> Result<()> {
    if is_empty(old)? {
        return Ok(());
    }
    ensure!(is_empty(new)?, "{} and {} both hold something: keep the one that counts", old.display(), new.display());
    if new.is_dir() {
        std::fs::remove_dir(new).with_context(|| format!("make room at {}", new.display()))?;
    }
    std::fs::rename(old, new).with_context(|| format!("move {} to {}", old.display(), new.display()))?;
    owner.map_or(Ok(()), |(uid, gid)| give(new, uid, gid))
}

/// Whether there is nothing at that place, or a folder without anything in it.
fn is_empty(path: &Path) -> Result<bool> {
    Ok(if path.is_dir() { list(path)?.is_empty() } else { !path.exists() })
}

/// Copies what a role needs.
fn fill_one(from: &Layout, config: &Config, role: Role, to: &Layout) -> Result<()> {
    std::fs::create_dir_all(to.root()).with_context(|| format!("create {}", to.root().display()))?;
    close(to.root())?;
    to.create()?;
    let files = files_of(from, config, role)?;
    for file in files.iter().filter(|file| file.exists()) {
        // What lies elsewhere stays there: its administrator says who reads it.
        if let Ok(place) = file.strip_prefix(from.root()) {
            copy(file, &to.root().join(place))?;
        }
    }
    for name in [".env", "message-broker.toml"] {
        let file = from.root().join(name);
        if file.exists() {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let kept = if name == ".env" { environment(&text, role) } else { settings(&text, role)? };
            mb_crypto::files::write_private(&to.root().join(name), kept.as_bytes())?;
            for named in kept.lines().filter_map(named_file).map(|path| from.root().join(path)) {
                if let Some(place) = named.is_file().then(|| named.strip_prefix(from.root()).ok()).flatten() {
                    copy(&named, &to.root().join(place))?;
                }
            }
        }
    }
    Ok(())
}

/// The files that a role reads: its certificate and the authority's, what its settings name, and the main server all secrets.
fn files_of(from: &Layout, config: &Config, role: Role) -> Result<Vec<PathBuf>> {
    let pair = |role: Role| <[PathBuf; 2]>::from(from.component(role.as_str()));
    let named = |path: &String| (!path.is_empty()).then(|| from.root().join(path));
    let mut files = vec![from.ca_certificate()];
    files.extend(pair(role));
    match role {
        Role::Server => {
            files.extend([Role::Admin, Role::Monitoring].into_iter().flat_map(pair));
            files.extend([from.ca_key(), from.previous_ca_key(), from.retired_cas(), from.crl()]);
            files.extend(master_keys(&config.encryption_key(from.root()))?);
            files.extend(list(&from.root().join("secrets"))?);
            files.extend(named(&config.mail.ca));
        }
        Role::Proxy => {
            files
                .extend([&config.proxy.certificate, &config.proxy.key, &config.redis.ca].into_iter().filter_map(named));
        }
        Role::Portal => files.extend([&config.portal.certificate, &config.portal.key].into_iter().filter_map(named)),
        _ => files.extend(named(&config.redis.ca)),
    }
    files.retain(|file| file.is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The master key in use and those that lie beside it.
fn master_keys(in_use: &Path) -> Result<Vec<PathBuf>> {
    let stem = in_use.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let Some(folder) = in_use.parent().filter(|folder| folder.is_dir()) else { return Ok(Vec::new()) };
    let is_key = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&stem));
    Ok(list(folder)?.into_iter().filter(is_key).collect())
}

/// The file that a line such as `REDIS_PASSWORD_FILE=secrets/redis` names.
fn named_file(line: &str) -> Option<&str> {
    let (name, path) = line.trim_start().trim_start_matches("export ").split_once('=')?;
    let path = path.trim().trim_matches(['"', '\'']);
    (name.trim().ends_with("_FILE") && !path.is_empty()).then_some(path)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = directory.read_dir().with_context(|| format!("read {}", directory.display()))?;
    entries.map(|entry| Ok(entry.with_context(|| format!("read {}", directory.display()))?.path())).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
    mb_crypto::files::write_private(to, &bytes).with_context(|| format!("write {}", to.display()))
}

fn may_know(named: &Named, role: Role) -> bool {
    match named {
        Named::Secret(name) => name.starts_with(QUEUES_SECRETS) && role != Role::Portal,
        Named::Key(key) => {
            let section = key.split('.').next().unwrap_or_default();
            let servers = SERVERS_SECTIONS.contains(&section) || SERVERS_KEYS.contains(&key.as_str());
            !servers && (section != QUEUES_SECTION || role != Role::Portal)
        }
    }
}

/// The lines of an `.env` that a role may know. Whatever is not known to be for it stays behind, comments too: they hold
/// what was set once, and more names may be secrets than this program knows.
fn environment(text: &str, role: Role) -> String {
    if role == Role::Server {
        return text.to_owned();
    }
    let kept = config::known_lines(text).into_iter().filter(|(named, _)| may_know(named, role));
    kept.fold(String::new(), |all, (_, line)| all + &line + "\n")
}

/// The sections of the settings that a role may know.
fn settings(text: &str, role: Role) -> Result<String> {
    if role == Role::Server {
        return Ok(text.to_owned());
    }
    let mut table: toml::Table = text.parse().context("read message-broker.toml")?;
    table.retain(|section, _| !SERVERS_SECTIONS.contains(&section));
    if role == Role::Portal {
        table.remove(QUEUES_SECTION);
    }
    if let Some(toml::Value::Table(server)) = table.get_mut("server") {
        server.retain(|key, _| !SERVERS_KEYS.contains(&format!("server.{key}").as_str()));
    }
    toml::to_string(&table).context("write message-broker.toml")
}

/// Lets nobody but its owner into a directory.
#[cfg(unix)]
pub(super) fn close(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, mode).with_context(|| format!("close {}", directory.display()))
}

/// Gives a file, or a directory and all below it, to an account.
#[cfg(unix)]
pub(super) fn give(path: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).with_context(|| format!("give away {}", path.display()))?;
    // The account may have put links there; what they lead to is not given away.
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        for entry in list(path)? {
            give(&entry, uid, gid)?;
        }
    }
    Ok(())
}

/// On Windows the service accounts' access lists are the installer's business.
#[cfg(windows)]
pub(super) fn close(_directory: &Path) -> Result<()> {
    Ok(())
}

#[cfg(windows)]
fn give(path: &Path, _uid: u32, _gid: u32) -> Result<()> {
    bail!("{}: --owner is for Unix; the services' installer sets access lists", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_settings_name_are_found_for_the_role_that_reads_them() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        let toml = "[proxy]\ncertificate = \"own/chain.pem\"\nkey = \"own/key.pem\"\n[redis]\nca = \"own/redis.pem\"\n\
                    [server]\nencryption_key = \"own/master.key\"\n";
        for name in ["own/chain.pem", "own/key.pem", "own/redis.pem", "own/master.key", "own/master.1.key", "secrets/x"]
        {
            mb_crypto::files::write_private(&dir.path().join(name), b"x").expect("written");
        }
        std::fs::write(dir.path().join("message-broker.toml"), toml).expect("written");
        let resolved = Resolved::load(dir.path(), &[]).expect("valid");
        let of = |role: Role| {
            let files = files_of(&layout, &resolved.config, role).expect("listed");
            files
                .iter()
                .filter_map(|file| Some(file.strip_prefix(dir.path()).ok()?.display().to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(Role::Proxy), ["own/chain.pem", "own/key.pem", "own/redis.pem"]);
        assert_eq!(of(Role::Worker), ["own/redis.pem"]);
        assert!(of(Role::Portal).is_empty());
        assert_eq!(of(Role::Server), ["own/master.1.key", "own/master.key", "secrets/x"]);
        assert_eq!(named_file("export REDIS_PASSWORD_FILE='secrets/redis'"), Some("secrets/redis"));
    }

    #[test]
    fn a_role_gets_the_settings_that_it_needs_and_no_secret_of_another() {
        let env = "# comment\n# DATABASE_URL=mysql://old\nDATABASE_URL=mysql://a\nJWT_SECRET=b\nREDIS_HOST=c\n\
                   REDIS_PASSWORD='d # e'\nexport SMTP_PASSWORD=f\nexport MAIN_SERVER_URL=g # DATABASE_URL=h\n\
                   export\tJWT_SECRET=i\n\"MB_BACKUP__PASSPHRASE\"=j\njwt_secret=k\nMYSQL_PWD=l\nmb_store__url=m\n\
                   MB_PROXY__PORT=1\nENCRYPTION_KEY_PATH=n\n";
        assert_eq!(environment(env, Role::Server), env.to_owned());
        let portal = "MAIN_SERVER_URL=\"g\"\nMB_PROXY__PORT=\"1\"\n";
        assert_eq!(environment(env, Role::Portal), portal);
        let proxy = format!("REDIS_HOST=\"c\"\nREDIS_PASSWORD=\"d # e\"\n{portal}");
        assert_eq!(environment(env, Role::Proxy), proxy);
        assert_eq!(environment(&proxy, Role::Proxy), proxy, "it is read as it was");
        let toml = "[store]\nurl = \"mysql://a\"\n[proxy]\nport = 1\n[redis]\nport = 2\n";
        assert_eq!(settings(toml, Role::Worker).expect("read"), "[proxy]\nport = 1\n\n[redis]\nport = 2\n");
        assert_eq!(settings(toml, Role::Portal).expect("read"), "[proxy]\nport = 1\n");
    }
}

//! `split-secrets`: one data directory for each role, with what that role needs and nothing else (design, section 10).
//!
//! The proxy that faces the internet then cannot read the authority's key, the master key, or the database's password,
//! whatever becomes of it. Each directory is its owner's alone; the owners are accounts that exist.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mb_core::Role;
use serde_json::json;

use super::Format;
use crate::layout::Layout;
use crate::output;

/// The roles that get a directory, with its name.
const ROLES: [(Role, &str); 4] =
    [(Role::Server, "main-server"), (Role::Proxy, "proxy"), (Role::Worker, "worker"), (Role::Portal, "portal")];

/// Settings in `.env` that are the main server's alone, by what their names begin with.
const SERVERS_OWN: [&str; 9] = [
    "DATABASE_URL",
    "JWT_SECRET",
    "ENCRYPTION_KEY",
    "SMTP_",
    "ADMIN_",
    "MB_STORE__",
    "MB_MAIL__",
    "MB_BACKUP__",
    "MB_PKI__",
];
/// Settings of the queue, which a portal has nothing to do with.
const QUEUES_OWN: [&str; 2] = ["REDIS_", "MB_REDIS__"];
/// The same in `message-broker.toml`, by section.
const SERVERS_SECTIONS: [&str; 4] = ["store", "mail", "backup", "pki"];

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// Where the roles' directories are made
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Whose a role's directory is, as numbers: proxy=997:997; may be repeated, needs the right to give files away
    #[arg(long = "owner", value_name = "ROLE=UID:GID", value_parser = parse_owner)]
    owners: Vec<(String, u32, u32)>,
    #[command(flatten)]
    format: Format,
}

fn parse_owner(text: &str) -> Result<(String, u32, u32), String> {
    let expected = || "ROLE=UID:GID with a role of main-server, proxy, worker, portal and two numbers".to_owned();
    let (role, owner) = text.split_once('=').ok_or_else(expected)?;
    let (uid, gid) = owner.split_once(':').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| expected());
    let known = ROLES.iter().any(|(_, name)| *name == role);
    if known { Ok((role.to_owned(), number(uid)?, number(gid)?)) } else { Err(expected()) }
}

pub(crate) fn run(layout: &Layout, args: &SplitArgs) -> Result<ExitCode> {
    ensure!(layout.ca_certificate().exists(), "there is no installation in {}", layout.root().display());
    let mut made = Vec::new();
    for (role, name) in ROLES {
        let target = args.to.join(name);
        if target.exists() && target.read_dir().context("read the directory")?.next().is_some() {
            bail!("{} is not empty", target.display());
        }
        fill(layout, role, &Layout::new(&target))?;
        if let Some((_, uid, gid)) = args.owners.iter().find(|(owner, ..)| owner == name) {
            give(&target, *uid, *gid)?;
        }
        made.push(json!({ "role": name, "data_dir": target }));
    }
    if args.format.json {
        output::json(&made)?;
    } else {
        output::note(
            "made; stop the services, move journal/ and proxy/ to the proxy's directory, and start each role in its own",
        );
        for (_, name) in ROLES {
            output::data(&args.to.join(name).display().to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies what a role needs.
fn fill(from: &Layout, role: Role, to: &Layout) -> Result<()> {
    std::fs::create_dir_all(to.root()).with_context(|| format!("create {}", to.root().display()))?;
    close(to.root())?;
    to.create()?;
    let (certificate, key) = from.component(role.as_str());
    let mut files = vec![from.ca_certificate(), certificate, key];
    if role == Role::Server {
        let (certificate, key) = from.component(Role::Admin.as_str());
        files.extend([from.ca_key(), from.previous_ca_key(), from.retired_cas(), from.crl(), certificate, key]);
        files.extend(list(&from.root().join("secrets"))?);
    }
    for file in files.iter().filter(|file| file.exists()) {
        let place = file.strip_prefix(from.root()).context("a file of the installation")?;
        copy(file, &to.root().join(place))?;
    }
    for name in [".env", "message-broker.toml"] {
        let file = from.root().join(name);
        if file.exists() {
            let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            let kept = if name == ".env" { environment(&text, role) } else { settings(&text, role)? };
            mb_crypto::files::write_private(&to.root().join(name), kept.as_bytes())?;
        }
    }
    Ok(())
}

fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = directory.read_dir().with_context(|| format!("read {}", directory.display()))?;
    entries.map(|entry| Ok(entry.with_context(|| format!("read {}", directory.display()))?.path())).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("read {}", from.display()))?;
    mb_crypto::files::write_private(to, &bytes).with_context(|| format!("write {}", to.display()))
}

fn is_foreign(name: &str, role: Role) -> bool {
    let begins = |names: &[&str]| names.iter().any(|begin| name.starts_with(begin));
    role != Role::Server && (begins(&SERVERS_OWN) || (role == Role::Portal && begins(&QUEUES_OWN)))
}

/// The lines of an `.env` that a role may know.
fn environment(text: &str, role: Role) -> String {
    let name =
        |line: &str| line.trim_start().trim_start_matches("export ").split('=').next().unwrap_or("").trim().to_owned();
    let kept = text.lines().filter(|line| line.trim_start().starts_with('#') || !is_foreign(&name(line), role));
    kept.fold(String::new(), |all, line| all + line + "\n")
}

/// The sections of the settings that a role may know.
fn settings(text: &str, role: Role) -> Result<String> {
    if role == Role::Server {
        return Ok(text.to_owned());
    }
    let mut table: toml::Table = text.parse().context("read message-broker.toml")?;
    table.retain(|section, _| !SERVERS_SECTIONS.contains(&section));
    if role == Role::Portal {
        table.remove("redis");
    }
    toml::to_string(&table).context("write message-broker.toml")
}

#[cfg(unix)]
fn close(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(directory, mode).with_context(|| format!("close {}", directory.display()))
}

#[cfg(unix)]
fn give(path: &Path, uid: u32, gid: u32) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).with_context(|| format!("give away {}", path.display()))?;
    if path.is_dir() {
        for entry in list(path)? {
            give(&entry, uid, gid)?;
        }
    }
    Ok(())
}

/// On Windows the service accounts' access lists are the installer's business.
#[cfg(windows)]
fn close(_directory: &Path) -> Result<()> {
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
    fn a_role_gets_the_settings_that_it_needs_and_no_secret_of_another() {
        let env = "# comment\nDATABASE_URL=mysql://a\nJWT_SECRET=b\nREDIS_HOST=c\nexport SMTP_PASSWORD=d\nMAIN_SERVER_URL=e\n";
        assert_eq!(environment(env, Role::Server), env.to_owned());
        assert_eq!(environment(env, Role::Proxy), "# comment\nREDIS_HOST=c\nMAIN_SERVER_URL=e\n");
        assert_eq!(environment(env, Role::Portal), "# comment\nMAIN_SERVER_URL=e\n");
        let toml = "[store]\nurl = \"mysql://a\"\n[proxy]\nport = 1\n[redis]\nport = 2\n";
        assert_eq!(settings(toml, Role::Worker).expect("read"), "[proxy]\nport = 1\n\n[redis]\nport = 2\n");
        assert_eq!(settings(toml, Role::Portal).expect("read"), "[proxy]\nport = 1\n");
    }
}

//! The units: the files of `packaging/systemd`, with this installation's program, directory and account put in.
//!
//! Those files are the only source, so what a package ships, what is installed here and what `systemd-analyze` has read are
//! the same. A data directory elsewhere than below `/var/lib` is opened for writing by name, for systemd makes none there.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::service::Part;

/// The target that starts the four components.
pub(super) const TARGET: (&str, &str) =
    ("message-broker.target", include_str!("../../../../../packaging/systemd/message-broker.target"));
/// The account of all, and the accounts of each role, for systemd-sysusers: names and texts.
pub(super) const ACCOUNTS: [(&str, &str); 2] = [
    ("message-broker.conf", include_str!("../../../../../packaging/systemd/message-broker.sysusers.conf")),
    ("message-broker-apart.conf", include_str!("../../../../../packaging/systemd/message-broker-apart.sysusers.conf")),
];
/// Where the data directory is unless somebody says otherwise.
pub(super) const DATA_DIR: &str = "/var/lib/message-broker";
/// The account of all.
pub(super) const ACCOUNT: &str = "message-broker";

/// What is put into a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The program.
    pub(super) program: PathBuf,
    /// Its data directory.
    pub(super) data_dir: PathBuf,
    /// User and group.
    pub(super) account: String,
    /// A file of variables that systemd hands to it.
    pub(super) environment: String,
}

/// What systemd calls the service.
pub(super) fn name(part: Part) -> &'static str {
    match part {
        Part::MainServer => "message-broker-main-server.service",
        Part::Proxy => "message-broker-proxy.service",
        Part::Worker => "message-broker-worker.service",
        Part::Portal => "message-broker-portal.service",
        Part::Up => "message-broker.service",
    }
}

/// The account of a role that has its own.
pub(super) fn own_account(part: Part) -> String {
    match part {
        Part::MainServer => "message-broker-main".to_owned(),
        part => format!("message-broker-{}", part.command()),
    }
}

const fn template(part: Part) -> &'static str {
    match part {
        Part::MainServer => include_str!("../../../../../packaging/systemd/message-broker-main-server.service"),
        Part::Proxy => include_str!("../../../../../packaging/systemd/message-broker-proxy.service"),
        Part::Worker => include_str!("../../../../../packaging/systemd/message-broker-worker.service"),
        Part::Portal => include_str!("../../../../../packaging/systemd/message-broker-portal.service"),
        Part::Up => include_str!("../../../../../packaging/systemd/message-broker.service"),
    }
}

/// The unit of `part` for this installation.
///
/// # Errors
/// A path cannot stand in a unit, or is one that the unit hides.
pub(super) fn render(part: Part, place: &Place) -> Result<String> {
    let (program, data_dir) = (writable(&place.program)?, writable(&place.data_dir)?);
    let state = place.data_dir.strip_prefix("/var/lib").ok();
    let line = |line: &str| match line.split_once('=') {
        Some(("ExecStart", _)) => format!("ExecStart={program} {}\n", part.command()),
        Some(("Environment", _)) => format!("Environment=MB_DATA_DIR={data_dir}\n"),
        Some(("EnvironmentFile", _)) => format!("EnvironmentFile=-{}\n", place.environment),
        Some((key @ ("User" | "Group"), _)) => format!("{key}={}\n", place.account),
        Some(("StateDirectory", _)) => match state {
            Some(below) => format!("StateDirectory={}\n", below.display()),
            None => format!("ReadWritePaths={data_dir}\n"),
        },
        Some(("StateDirectoryMode", _)) if state.is_none() => String::new(),
        Some(("InaccessiblePaths", path)) => {
            format!("InaccessiblePaths={}\n", path.replacen(DATA_DIR, &data_dir, 1))
        }
        _ => format!("{line}\n"),
    };
    Ok(template(part).lines().map(line).collect())
}

/// The value of the last `key=` of an installed unit.
pub(super) fn value<'a>(unit: &'a str, key: &str) -> Option<&'a str> {
    unit.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// A path as a unit takes it, and that its service can see: these units hide homes and have a `/tmp` of their own.
fn writable(path: &Path) -> Result<String> {
    let text = path.display().to_string();
    ensure!(path.is_absolute(), "{text} is no absolute path");
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@".contains(c);
    ensure!(text.chars().all(plain), "{text} cannot stand in a unit of systemd: use letters, digits and /._-+:@ only");
    let hidden =
        ["/home", "/root", "/run/user", "/tmp", "/var/tmp"].into_iter().find(|hidden| path.starts_with(hidden));
    ensure!(
        hidden.is_none(),
        "{text} is below {}, which the services do not see: put the program in /usr/local/bin, the data below /var/lib or /srv",
        hidden.unwrap_or_default()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(data_dir: &str) -> Place {
        Place {
            program: "/opt/mb/message-broker".into(),
            data_dir: data_dir.into(),
            account: "message-broker-proxy".into(),
            environment: "/etc/default/message-broker-proxy".into(),
        }
    }

    #[test]
    fn a_unit_names_this_installations_program_directory_and_account() {
        let unit = render(Part::Proxy, &place("/var/lib/message-broker-proxy")).expect("rendered");
        for line in [
            "ExecStart=/opt/mb/message-broker proxy",
            "Environment=MB_DATA_DIR=/var/lib/message-broker-proxy",
            "EnvironmentFile=-/etc/default/message-broker-proxy",
            "User=message-broker-proxy",
            "Group=message-broker-proxy",
            "StateDirectory=message-broker-proxy",
            "InaccessiblePaths=-/var/lib/message-broker-proxy/secrets",
            "Type=notify",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
        }
        assert_eq!(value(&unit, "User"), Some("message-broker-proxy"));
    }

    #[test]
    fn the_shipped_units_are_what_is_rendered_for_the_usual_places() {
        let usual = Place {
            program: "/usr/bin/message-broker".into(),
            data_dir: DATA_DIR.into(),
            account: ACCOUNT.into(),
            environment: "/etc/default/message-broker".into(),
        };
        for part in Part::ALL {
            assert_eq!(render(part, &usual).expect("rendered"), template(part), "{part:?}");
        }
    }

    #[test]
    fn a_directory_elsewhere_is_opened_by_name_and_what_units_hide_is_refused() {
        let unit = render(Part::Up, &place("/srv/mb")).expect("rendered");
        assert!(unit.contains("\nReadWritePaths=/srv/mb\n") && !unit.contains("StateDirectory"), "{unit}");
        for bad in ["/tmp/mb", "data", "/srv/a b", "/srv/%h"] {
            assert!(render(Part::Up, &place(bad)).is_err(), "{bad}");
        }
    }
}

//! Files and who can read them.

use std::path::{Path, PathBuf};

use super::{Finding, Patient};
use crate::layout::{COMPONENTS, read_secret};
use crate::output;

pub(super) fn check(patient: Patient<'_>) -> Vec<Finding> {
    let root = patient.layout.root();
    if !root.is_dir() {
        let detail = format!("{} does not exist", root.display());
        return vec![if patient.preflight {
            Finding::ok("data directory", format!("{detail}; the first start makes it"))
        } else {
            Finding::fail("data directory", detail, "start `message-broker up`, or name another by --data-dir")
        }];
    }
    let mut findings = vec![directory(root)];
    let private: Vec<_> = private_files(patient).into_iter().filter(|path| path.exists()).collect();
    let exposed: Vec<_> = private
        .iter()
        .filter_map(|path| wrong(path).map(|error| (path, error)))
        .map(|(path, error)| {
            let fix = if cfg!(windows) {
                "message-broker service repair".to_owned()
            } else {
                format!("chmod 600 {0}; chown it to the service's account", path.display())
            };
            Finding::fail("private files", format!("{error}: who reads it can act as the system"), fix)
        })
        .collect();
    if exposed.is_empty() {
        let detail = format!("{}, readable by the owner alone", output::counted(private.len(), "key"));
        findings.push(Finding::ok("private files", detail));
    }
    findings.extend(exposed);
    findings
}

/// What is wrong with a private file, if anything is.
fn wrong(path: &Path) -> Option<String> {
    #[cfg(windows)]
    if let Some(who) = crate::service::acl::exposure(path) {
        return Some(format!("{} can be read by {who}", path.display()));
    }
    read_secret(path).err().map(|error| format!("{error:#}"))
}

/// Whether files can be made in it, which every start does.
fn directory(root: &Path) -> Finding {
    match tempfile::tempfile_in(root) {
        Ok(_) => Finding::ok("data directory", format!("{}, writable", root.display())),
        Err(error) => {
            let detail = format!("{} cannot be written: {error}; nothing can start or accept", root.display());
            let fix = "mount its disk writable, and make it writable for the service's account";
            Finding::fail("data directory", detail, fix)
        }
    }
}

fn private_files(patient: Patient<'_>) -> Vec<PathBuf> {
    let layout = patient.layout;
    let keys = COMPONENTS.iter().map(|role| layout.component(role.as_str()).1);
    [
        layout.ca_key(),
        layout.previous_ca_key(),
        patient.resolved.config.encryption_key(layout.root()),
        layout.jwt_key(),
        layout.root().join(".env"),
    ]
    .into_iter()
    .chain(keys)
    .collect()
}

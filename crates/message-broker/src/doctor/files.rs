//! Files and who can read them.

use std::path::PathBuf;

use super::{Finding, Patient};
use crate::layout::{COMPONENTS, read_secret};

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
    let mut findings = vec![Finding::ok("data directory", root.display().to_string())];
    let private: Vec<_> = private_files(patient).into_iter().filter(|path| path.exists()).collect();
    let exposed: Vec<_> = private
        .iter()
        .filter_map(|path| read_secret(path).err().map(|error| (path, format!("{error:#}"))))
        .map(|(path, error)| {
            let fix = format!("chmod 600 {0}; chown it to the service's account", path.display());
            Finding::fail("private files", format!("{error}: who reads it can act as the system"), fix)
        })
        .collect();
    if exposed.is_empty() {
        let detail = format!("{} keys, readable by their owner alone", private.len());
        findings.push(Finding::ok("private files", detail));
    }
    findings.extend(exposed);
    findings
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

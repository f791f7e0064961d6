//! Every `sh` block of the manuals, in its order, beside a running system.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Broker, Ports, binary};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page of the documentation.
pub(crate) fn document(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).expect("a document")
}

/// Runs all `sh` blocks of a document in one shell that ends at the first failure. The program and the samples are found by
/// their names; the ports that documents show stand for the broker's, and 9000 for one that is spare.
pub(crate) fn run_blocks(document: &str, broker: &Broker) {
    let ports = &broker.ports;
    let places = [(":8000", ports.server), (":8001", ports.proxy), (":9100", ports.worker), (":5000", ports.portal)];
    let binary = binary();
    let folder = Path::new(&binary).parent().expect("in a folder").display();
    let samples = root().join("deployment/samples");
    let mut script = format!("set -eu\nPATH={folder}:{}:$PATH\n", samples.display());
    for block in document.split("```sh\n").skip(1) {
        script.push_str(block.split("```").next().expect("a block"));
    }
    for (shown, port) in places {
        script = script.replace(shown, &format!(":{port}"));
    }
    script = script.replace("9000", &Ports::spare().worker.to_string());
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("MB_DATA_DIR", broker.dir())
        .envs(broker.environment().to_vec())
        .current_dir(broker.dir())
        .output()
        .expect("sh runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// What the documents take for granted: something to seal backups with, and receivers on this machine.
fn broker() -> Broker {
    let (sealed, allowed) =
        (("MB_BACKUP__PASSPHRASE", "what seals a backup"), ("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8"));
    Broker::start_with(&[sealed, allowed])
}

#[test]
fn every_command_of_the_users_manual_works_needs_curl_needs_openssl_needs_python3() {
    run_blocks(&document("user-manual.md"), &broker());
}

#[test]
fn every_command_of_the_administrators_manual_works() {
    run_blocks(&document("admin-manual.md"), &broker());
}

#[test]
fn every_command_of_the_rotation_plan_works_needs_openssl() {
    run_blocks(&document("rotation.md"), &broker());
}

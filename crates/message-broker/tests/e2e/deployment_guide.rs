//! Every `sh` block of the deployment guide, in its order, beside a running system.

use std::path::Path;
use std::process::Command;

use crate::harness::{Broker, binary};

const GUIDE: &str = include_str!("../../../../docs/deployment-guide.md");

#[test]
fn every_command_of_the_guide_works_needs_curl() {
    let broker = Broker::start_with(&[("MB_BACKUP__PASSPHRASE", "what seals a backup")]);
    let ports = &broker.ports;
    let places = [(":8000", ports.server), (":8001", ports.proxy), (":9100", ports.worker), (":5000", ports.portal)];
    let binary = binary();
    let folder = Path::new(&binary).parent().expect("in a folder").display();
    let mut script = format!("set -eu\nPATH={folder}:$PATH\n");
    for block in GUIDE.split("```sh\n").skip(1) {
        script.push_str(block.split("```").next().expect("a block"));
    }
    for (shown, port) in places {
        assert!(script.contains(shown), "{shown}");
        script = script.replace(shown, &format!(":{port}"));
    }
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

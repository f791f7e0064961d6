//! The CA's life: issue, list, verify, revoke; beside a running system and on a stopped one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

use crate::harness::{Broker, PATIENCE, command, files, message, submit};

#[test]
fn a_revoked_certificate_is_refused_on_its_next_request() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "branch-7", "sales"]);
    let mut open = broker.client("branch-7");
    submit(&mut open, "still welcome");
    let revoked = broker.run_ok(&["ca", "revoke", "branch-7", "--reason", "lost"]);
    assert_eq!(revoked.lines().count(), 1, "{revoked}");
    let begun = Instant::now();
    // The open connection is refused or closed, a new one is refused.
    loop {
        let answer = open.post("/api/v1/messages", &message("x"));
        match answer {
            Err(_) => break,
            Ok(response) if response.status == 403 => {
                response.assert_problem(403, "certificate_revoked");
                break;
            }
            Ok(response) => assert_eq!(response.status, 202, "{}", response.text()),
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "revocation takes effect within 5 seconds");
    }
    let fresh = broker.client("branch-7").post("/api/v1/messages", &message("x")).expect("answered");
    fresh.assert_problem(403, "certificate_revoked");
    submit(&mut broker.demo(), "others go on");
    let listed = broker.run_ok(&["ca", "list", "--status", "revoked", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(rows["data"][0]["client_id"], "branch-7");
    assert_eq!(rows["data"][0]["reason"], "lost");
    // Repeating it is no error and changes nothing; an unknown name is one.
    assert_eq!(broker.run_ok(&["ca", "revoke", "branch-7"]), "");
    assert_eq!(broker.run(&["ca", "revoke", "nobody"]).status.code(), Some(1));
}

#[test]
fn an_idle_connection_of_a_revoked_certificate_is_closed() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "idle"]);
    let mut idle = broker.client("idle");
    submit(&mut idle, "x");
    broker.run_ok(&["ca", "revoke", "idle"]);
    let begun = Instant::now();
    let ended = idle.read_response();
    assert!(ended.is_err(), "{ended:?}");
    assert!(begun.elapsed() < PATIENCE / 2, "closed by the policy, not by a timeout");
}

#[test]
fn every_ca_command_works_on_a_stopped_system() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let run = |args: &[&str]| command(dir.path(), &[]).args(args).output().expect("the binary runs");
    let ok = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let first = ok(&["ca", "init"]);
    assert_eq!(first, ok(&["ca", "init"]), "a second init keeps the CA");
    let issued: serde_json::Value =
        serde_json::from_str(&ok(&["ca", "issue", "till-1", "shop", "--days", "30", "--json"])).expect("JSON");
    let file = dir.path().join("certs/clients/till-1/till-1.crt");
    assert_eq!(issued["certificate"], file.to_str().expect("text"));
    for name in ["till-1.key", "ca.crt", "fingerprint.txt"] {
        assert!(dir.path().join("certs/clients/till-1").join(name).exists(), "{name}");
    }
    let path = file.to_str().expect("text");
    assert!(ok(&["ca", "verify", path]).starts_with("valid: till-1 (client)"));
    assert_eq!(run(&["ca", "issue", "till-1", "other-shop"]).status.code(), Some(1), "a client stays in its domain");
    assert_eq!(run(&["ca", "issue", "Bad Name"]).status.code(), Some(1));
    assert_eq!(run(&["ca", "issue", "x", "--role", "king"]).status.code(), Some(2));
    ok(&["ca", "revoke", "--serial", issued["id"].as_str().expect("a serial")]);
    let refused = run(&["ca", "verify", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("revoked"));
    let serial = issued["id"].as_str().expect("a serial");
    assert!(listed(dir.path(), serial), "the revocation list names it");
    std::fs::remove_file(dir.path().join("certs/crl.pem")).expect("removed");
    ok(&["ca", "list"]);
    assert!(listed(dir.path(), serial), "a missing list is written again");
}

#[test]
fn a_running_system_publishes_what_it_revokes() {
    let broker = Broker::start();
    let issued: serde_json::Value =
        serde_json::from_str(&broker.run_ok(&["ca", "issue", "till-2", "--json"])).expect("JSON");
    let serial = issued["id"].as_str().expect("a serial");
    assert!(!listed(broker.dir(), serial));
    broker.run_ok(&["ca", "revoke", "till-2"]);
    let begun = Instant::now();
    while !listed(broker.dir(), serial) {
        assert!(begun.elapsed() < PATIENCE, "not on the list: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_expires_is_listed_until_it_is_renewed() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "soon", "--days", "5"]);
    broker.run_ok(&["ca", "issue", "later", "--days", "20"]);
    let names = |days: &str| {
        let listed = broker.run_ok(&["ca", "list", "--expiring", days, "--json"]);
        let rows: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
        let row = |row: &serde_json::Value| (row["client_id"].clone(), row["expires_within_days"].clone());
        rows["data"].as_array().expect("a list").iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(names("30"), [("soon".into(), 7.into()), ("later".into(), 30.into())]);
    assert_eq!(names("7"), [("soon".into(), 7.into())]);
    assert!(broker.run_ok(&["ca", "list"]).contains("expires within 7 days"));
    broker.run_ok(&["ca", "renew", "soon", "--days", "90"]);
    assert_eq!(names("30"), [("later".into(), 30.into())]);
    assert_eq!(broker.run(&["ca", "list", "--expiring", "0"]).status.code(), Some(2));
}

#[test]
fn the_names_of_the_ca_and_of_components_are_not_for_others() {
    let stopped = Stopped::new();
    let before = stopped.certificates();
    for (name, role) in [
        ("ca", "admin"),
        ("ca", "monitoring"),
        ("ca", "client"),
        ("server", "admin"),
        ("admin", "client"),
        ("monitoring", "consumer"),
    ] {
        let said = stopped.refused(&["ca", "issue", name, "--role", role]);
        assert!(said.contains(&format!("the name {name}")), "{said}");
    }
    assert_eq!(stopped.certificates(), before, "nothing was written");
    for role in ["admin", "monitoring", "consumer"] {
        stopped.ok(&["ca", "issue", &format!("own-{role}"), "--role", role]);
    }
    stopped.ok(&["ca", "issue", "server", "extra.example"]);
    stopped.ok(&["ca", "list"]);
}

#[test]
fn a_lost_ca_is_never_replaced_by_a_new_one() {
    let stopped = Stopped::new();
    let (certificate, key) = (stopped.path("certs/ca.crt"), stopped.path("certs/ca.key"));
    let kept = [&certificate, &key].map(|path| std::fs::read(path).expect("readable"));
    std::fs::remove_file(&certificate).expect("removed");
    assert!(stopped.refused(&["ca", "init"]).contains("ca.crt is missing"));
    assert_eq!(std::fs::read(&key).expect("readable"), kept[1], "its key is untouched");
    let aside = stopped.path("ca.key.aside");
    std::fs::rename(&key, &aside).expect("moved");
    assert!(stopped.refused(&["ca", "init"]).contains("ca.crt is missing"));
    assert!(!key.exists() && !certificate.exists());
    for folder in ["certs", "secrets"] {
        std::fs::rename(stopped.path(folder), stopped.path(&format!("{folder}.aside"))).expect("moved");
    }
    assert!(stopped.refused(&["ca", "init"]).contains("ca.crt is missing"), "the store alone shows that there was one");
    for folder in ["certs", "secrets"] {
        std::fs::remove_dir_all(stopped.path(folder)).expect("removed");
        std::fs::rename(stopped.path(&format!("{folder}.aside")), stopped.path(folder)).expect("moved");
    }
    std::fs::rename(&aside, &key).expect("moved");
    std::fs::write(&certificate, &kept[0]).expect("written");
    stopped.ok(&["ca", "list"]);
    // A first start that was killed between key and certificate is repeated.
    let young = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir_all(young.path().join("certs")).expect("created");
    std::fs::rename(&key, young.path().join("certs/ca.key")).expect("moved");
    let output = command(young.path(), &[]).args(["ca", "init"]).output().expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    assert_ne!(std::fs::read(young.path().join("certs/ca.key")).expect("readable"), kept[1]);
}

#[test]
fn component_certificates_that_cannot_be_used_are_issued_anew() {
    let stopped = Stopped::new();
    let read = |name: &str| std::fs::read_to_string(stopped.path(&format!("certs/{name}.crt"))).expect("readable");
    let before = ["admin", "proxy", "worker", "portal", "server"].map(read);
    for name in ["admin", "proxy"] {
        stopped.ok(&["ca", "revoke", name]);
    }
    // Another's key, another's certificate.
    std::fs::copy(stopped.path("certs/portal.key"), stopped.path("certs/worker.key")).expect("copied");
    for kind in ["crt", "key"] {
        let (from, to) = (format!("certs/monitoring.{kind}"), format!("certs/portal.{kind}"));
        std::fs::copy(stopped.path(&from), stopped.path(&to)).expect("copied");
    }
    stopped.ok(&["ca", "list"]);
    let after = ["admin", "proxy", "worker", "portal", "server"].map(read);
    for (index, name) in ["admin", "proxy", "worker", "portal"].into_iter().enumerate() {
        assert_ne!(before[index], after[index], "{name}");
        stopped.ok(&["ca", "verify", stopped.path(&format!("certs/{name}.crt")).to_str().expect("text")]);
    }
    assert_eq!(before[4], after[4], "a good one is kept");
}

#[test]
fn a_serving_certificate_without_the_systems_names_is_issued_anew_and_keeps_those_it_was_given() {
    let stopped = Stopped::new();
    stopped.ok(&["ca", "issue", "server", "extra.example"]);
    let names = ("PRIMARY_DOMAIN".to_owned(), "broker.example, 10.1.2.3".to_owned());
    let mut list = command(stopped.0.path(), &[names]);
    assert!(list.args(["ca", "list"]).output().expect("the binary runs").status.success());
    for (name, given) in [("server", true), ("proxy", false), ("portal", false)] {
        let pem = std::fs::read_to_string(stopped.path(&format!("certs/{name}.crt"))).expect("readable");
        let names = mb_crypto::identity::alternative_names(&pem).expect("a certificate");
        let has = |name: &str| names.iter().any(|carried| carried == name);
        assert!(has("broker.example") && has("10.1.2.3") && has("localhost"), "{name}: {names:?}");
        assert_eq!(has("extra.example"), given, "{name}: {names:?}");
    }
}

#[test]
fn a_revoked_proxy_accepts_nothing_until_it_has_another_certificate_which_it_gets_at_once() {
    let broker = Broker::start();
    let certificate = broker.dir().join("certs/proxy.crt");
    let before = std::fs::read(&certificate).expect("readable");
    broker.run_ok(&["ca", "revoke", "proxy"]);
    let give_up = Instant::now() + PATIENCE;
    while std::fs::read(&certificate).expect("readable") == before {
        assert!(Instant::now() < give_up, "not replaced: {}", broker.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Refused or accepted for good: nothing that was answered with 202 ends as a dead letter of a revoked proxy.
    let (mut accepted, mut refused) = (Vec::new(), 0);
    while accepted.len() < 3 {
        let answer = broker.demo().post("/api/v1/messages", &message("x")).expect("answered");
        if answer.status == 202 {
            accepted.push(answer.json()["message_id"].as_str().expect("an id").to_owned());
        } else {
            answer.assert_problem(503, "proxy_untrusted");
            refused += 1;
        }
        assert!(Instant::now() < give_up, "{refused} refused: {}", broker.stderr());
    }
    broker.wait_delivered(&accepted);
}

/// A data directory with a CA and nothing that runs.
struct Stopped(tempfile::TempDir);

impl Stopped {
    fn new() -> Self {
        let stopped = Self(tempfile::tempdir().expect("temporary folder"));
        stopped.ok(&["ca", "init"]);
        stopped
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn ok(&self, args: &[&str]) {
        let output = command(self.0.path(), &[]).args(args).output().expect("the binary runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What it says of a command that it refuses.
    fn refused(&self, args: &[&str]) -> String {
        let output = command(self.0.path(), &[]).args(args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn certificates(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found: Vec<_> = files(&self.path("certs"))
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(path).expect("readable")))
            .collect();
        found.sort();
        found
    }
}

/// Whether the revocation list holds a serial number.
fn listed(dir: &Path, serial: &str) -> bool {
    let list = CertificateRevocationListDer::from_pem_file(dir.join("certs/crl.pem")).expect("a revocation list");
    let digit = |at: usize| u8::from_str_radix(&serial[at..at + 2], 16).expect("hexadecimal");
    let serial: Vec<u8> = (0..serial.len()).step_by(2).map(digit).collect();
    list.windows(serial.len()).any(|window| window == serial)
}

/// The guide's `init_ca` and `generate_cert NAME DOMAIN DAYS`.
#[cfg(unix)]
#[test]
fn the_guides_scripts_make_the_authority_and_certificates() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deployment/certs");
    let run = |script: &str, args: &[&str]| {
        let mut sh = std::process::Command::new(scripts.join(script));
        sh.args(args).env("MESSAGE_BROKER", crate::harness::binary()).env("MB_DATA_DIR", dir.path());
        let output = sh.output().expect("the script runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run("init_ca.sh", &[]);
    assert!(dir.path().join("certs/ca.crt").exists() && dir.path().join("certs/crl.pem").exists());
    run("generate_cert.sh", &["branch-5", "shop", "30"]);
    let pem = std::fs::read_to_string(dir.path().join("certs/clients/branch-5/branch-5.crt")).expect("written");
    let der = mb_crypto::pem::certificates(&pem).expect("a certificate").remove(0);
    let identity = mb_crypto::identity::from_der(&der).expect("one of ours");
    let days = identity.not_after.since(identity.not_before).as_secs() / 86_400;
    assert_eq!((identity.domain.expect("a domain").as_str(), days), ("shop", 30));
    for (shell, batch) in [("init_ca.sh", "init_ca.bat"), ("generate_cert.sh", "generate_cert.bat")] {
        let read = |name: &str| std::fs::read_to_string(scripts.join(name)).expect("readable");
        let command = if shell == "init_ca.sh" { "ca init" } else { "ca issue" };
        assert!(read(shell).contains(&format!("{command} \"$@\"")) && read(batch).contains(&format!("{command} %*")));
    }
}

#[cfg(unix)]
#[test]
fn private_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let broker = Broker::start();
    let secrets = crate::harness::files(broker.dir())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "key"));
    let mut count = 0;
    for path in secrets {
        let mode = std::fs::metadata(&path).expect("readable").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        count += 1;
    }
    assert!(count >= 9, "CA, six components, a client, the master key: {count}");
    let key = broker.dir().join("certs/ca.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let dir = broker.dir().to_owned();
    let copy = tempfile::tempdir().expect("temporary folder");
    for name in ["certs/ca.key", "certs/ca.crt"] {
        std::fs::create_dir_all(copy.path().join("certs")).expect("created");
        std::fs::copy(dir.join(name), copy.path().join(name)).expect("copied");
    }
    let output = command(copy.path(), &crate::lifecycle::spare_ports()).arg("up").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ca.key"), "a key that others can read is refused");
}

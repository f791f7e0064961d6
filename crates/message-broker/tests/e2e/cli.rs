//! The command line: what it prints, and its exit codes.

use crate::harness::{Broker, PATIENCE, command};

#[test]
fn send_prints_the_id_and_waits_for_delivery() {
    let broker = Broker::start();
    let url = format!("https://localhost:{}", broker.ports.proxy);
    let args = ["send", "--sender", "+4915112345678", "--message", "by hand", "--url", &url];
    let id = broker.run_ok(&args).trim().to_owned();
    assert_eq!(id.len(), 36, "{id}");
    broker.wait_delivered(&[id]);
    let waited = broker.run_ok(&[&args[..], &["--wait", "--json"]].concat());
    assert!(waited.contains("delivered"), "{waited}");
    let refused = broker.run(&["send", "--sender", "12", "--message", "x", "--url", &url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("E.164"), "the reason is said");
}

#[test]
fn the_printed_lines_work_when_pasted_needs_curl() {
    let broker = Broker::start();
    let stdout = crate::lifecycle::welcome(&broker);
    assert!(stdout.lines().count() <= 15, "at most 15 lines:\n{stdout}");
    let line = stdout.lines().find(|line| line.contains(" send ")).expect("a send line").trim();
    let line = line.replacen("message-broker", &crate::harness::binary(), usize::from(!line.starts_with('/')));
    let output = std::process::Command::new("sh").args(["-c", &line]).output().expect("sh runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let curl = stdout.lines().find(|line| line.trim_start().starts_with("curl")).expect("a curl line");
    let output = std::process::Command::new("sh").args(["-c", curl]).output().expect("sh runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("message_id"), "{curl}: {output:?}");
}

#[test]
fn usage_errors_exit_2_and_business_errors_1() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let code = |args: &[&str]| command(dir.path(), &[]).args(args).output().expect("runs").status.code();
    assert_eq!(code(&["no-such-command"]), Some(2));
    assert_eq!(code(&["send"]), Some(2));
    assert_eq!(code(&["proxy"]), Some(1));
    assert_eq!(code(&["journal", "discard"]), Some(1));
    assert_eq!(code(&["config", "check"]), Some(0));
    assert_eq!(code(&["completions", "sh"]), Some(2));
    assert_eq!(code(&["migrate", "--status"]), Some(0));
}

#[test]
fn a_directory_without_an_installation_gets_none_by_being_looked_at() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mistyped = dir.path().join("typo");
    for args in [&["admin", "users", "list"][..], &["admin", "audit", "verify"], &["ca", "list"], &["keys", "list"]] {
        let output = command(&mistyped, &[]).args(args).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{args:?}: {text}");
        assert!(text.contains("there is no installation in") && text.contains("--data-dir"), "{text}");
    }
    assert!(!mistyped.exists(), "nothing was made");
    let output = command(&mistyped, &[]).args(["ca", "init"]).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let output = command(&mistyped, &[]).args(["admin", "audit", "verify"]).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn data_that_cannot_be_written_is_a_failure_and_a_reader_that_went_is_none() {
    let dir = tempfile::tempdir().expect("temporary folder");
    assert!(command(dir.path(), &[]).args(["ca", "init"]).status().expect("runs").success());
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("opened");
    for args in [&["admin", "domains", "list"][..], &["admin", "stats", "--json"], &["admin", "audit", "verify"]] {
        let output = command(dir.path(), &[]).args(args).stdout(full()).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains("standard output cannot be written"), "{text}");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert!(command(dir.path(), &[]).args(args).stdout(writer).status().expect("runs").success(), "{args:?}");
    }
}

#[test]
fn every_shell_is_told_all_commands() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = command(dir.path(), &[]).args(["completions", shell]).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout);
        for word in ["main-server", "destinations", "reset-two-factor", "rotate-secret", "--data-dir"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(text.contains(word), "{word} for {shell}");
        }
    }
}

#[test]
fn the_schema_can_be_looked_at_and_made_before_the_first_start() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let ok = |args: &[&str]| {
        let output = command(dir.path(), &[]).args(args).output().expect("runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let before = ok(&["migrate", "--status"]);
    assert!(before.contains("open") && !before.contains("applied"), "{before}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "looking makes nothing");
    let after = ok(&["migrate"]);
    assert!(after.contains("applied") && !after.contains("open"), "{after}");
    assert_eq!(ok(&["migrate", "--status"]), after);
    // The database holds nothing yet that needs a key: the first start makes it.
    ok(&["ca", "init"]);
    let key = dir.path().join("secrets/encryption.key");
    std::fs::remove_file(dir.path().join("secrets/encryption.key.pub")).expect("it was made");
    ok(&["ca", "list"]);
    assert!(dir.path().join("secrets/encryption.key.pub").exists(), "the public half follows from the key");
    std::fs::remove_file(&key).expect("it was made");
    let output = command(dir.path(), &[]).args(["ca", "list"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("put back the key"), "{output:?}");
    assert!(!key.exists(), "a key that sealed something is never replaced");
}

#[test]
fn bench_finds_every_accepted_message_stored() {
    let broker = Broker::start();
    let url = format!("https://localhost:{}", broker.ports.proxy);
    for shape in [&["--http", "1"][..], &["--http", "2"][..], &["--batch", "50"][..]] {
        let args =
            [&["bench", "--url", &url, "--count", "400", "--clients", "3", "--connections", "4", "--json"][..], shape]
                .concat();
        let report: serde_json::Value = serde_json::from_str(&broker.run_ok(&args)).expect("JSON");
        assert!(report["accepted"].as_u64() >= Some(400), "{shape:?}: {report}");
        assert_eq!(report["delivered"], report["accepted"], "{shape:?}: {report}");
        assert_eq!(report["lost"], 0);
    }
}

#[test]
fn the_journal_can_be_inspected_once_its_proxy_is_stopped() {
    let mut broker = Broker::start();
    let id = crate::harness::submit(&mut broker.demo(), "x");
    broker.wait_delivered(&[id]);
    assert_eq!(broker.run(&["journal", "status"]).status.code(), Some(1));
    let (code, took) = broker.terminate();
    assert_eq!(code, Some(0));
    assert!(took < PATIENCE);
    let status: serde_json::Value =
        serde_json::from_str(&broker.run_ok(&["journal", "status", "--json"])).expect("JSON");
    assert_eq!(status["waiting"], 0, "{status}");
    broker.run_ok(&["journal", "replay"]);
    broker.run_ok(&["journal", "discard", "--yes"]);
}

//! `doctor --report`: the monthly look at what grows, what ends and what nobody uses.

use serde_json::Value;

use crate::harness::{Broker, command, submit};

mod needs_sqlite3;

const PASSPHRASE: (&str, &str) = ("MB_BACKUP__PASSPHRASE", "Unspoken correct horse");

fn report(broker: &Broker) -> Value {
    serde_json::from_str(&broker.run_ok(&["doctor", "--report", "--json"])).expect("JSON")
}

/// The finding of that name.
fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    let all = report["findings"].as_array().expect("a list");
    all.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check} is not in {report:#}"))
}

#[test]
fn the_report_says_the_same_beside_a_running_system_and_on_a_stopped_one() {
    let mut broker = Broker::start_with(&[PASSPHRASE]);
    let ids: Vec<_> = (0..20).map(|n| submit(&mut broker.demo(), &format!("text {n}"))).collect();
    broker.wait_delivered(&ids);
    assert_eq!(finding(&report(&broker), "backup")["status"], "warn", "there is none yet");
    let backup = broker.run_ok(&["backup", "create"]).trim().to_owned();
    assert_eq!(finding(&report(&broker), "backup proven")["status"], "warn");
    broker.run_ok(&["backup", "verify", &backup]);
    broker.run_ok(&["ca", "issue", "short", "--days", "60"]);
    broker.run_ok(&["ca", "issue", "long", "--days", "200"]);

    let mut reports = vec![report(&broker)];
    assert_eq!(broker.terminate().0, Some(0));
    reports.push(report(&broker));
    for report in reports {
        assert_eq!(report["database"]["registered"], 20, "{report:#}");
        assert_eq!(report["database"]["messages_per_day"], 20);
        assert_eq!(report["database"]["bytes_per_message"], Value::Null, "twenty tell nothing of each");
        assert_eq!(report["database"]["by_status"]["delivered"], 20);
        assert_eq!(report["database"]["dead_letters"], 0);
        let names: Vec<_> = report["certificates"].as_array().expect("a list").iter().map(|row| &row["name"]).collect();
        assert_eq!(names, ["short"]);
        for (check, status) in [("backup", "ok"), ("backup proven", "ok"), ("users", "ok"), ("clients", "ok")] {
            assert_eq!(finding(&report, check)["status"], status, "{report:#}");
        }
        assert!(report["backups"]["last"]["bytes"].as_u64().is_some_and(|bytes| bytes > 1000));
        assert_eq!(report["backups"]["last"], report["backups"]["last_verified"]);
        let disks = report["disks"].as_array().expect("a list");
        let holds: Vec<_> = disks.iter().flat_map(|disk| disk["holds"].as_array().expect("a list")).collect();
        let bytes = |what: &str| holds.iter().find(|held| held["what"] == what).and_then(|held| held["bytes"].as_u64());
        for what in ["database", "backups", "journal", "logs"] {
            assert!(bytes(what).is_some_and(|bytes| bytes > 0), "{what}: {report:#}");
        }
        assert!(disks.iter().all(|disk| disk["free"].as_u64() > Some(0)), "{report:#}");
    }
    let text = broker.run_ok(&["doctor", "--report"]);
    for words in ["1 certificate ends within 90 days: short (client, ", "20 ever", "was proven on"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_machine_without_a_database_tells_of_its_disk_and_looks_for_no_more() {
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(dir.path().join("logs")).expect("created");
    let output = command(dir.path(), &[]).args(["doctor", "--report", "--json"]).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["database"].is_null() && report["certificates"].is_null(), "{report:#}");
    assert_eq!(report["disks"][0]["holds"][0]["what"], "logs");
    assert!(!dir.path().join("message-broker.db").exists(), "it only looks");
}

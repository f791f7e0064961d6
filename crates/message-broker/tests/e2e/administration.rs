//! The admin command line: the same commands beside a running system and on a stopped one.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Broker, PATIENCE, command, submit};

const PASSWORD: &str = "Corr3ct-horse";

/// The ways to run a command: on a data directory whose system runs or not.
type Run<'a> = &'a dyn Fn(&[&str]) -> Output;

fn ok(run: Run<'_>, args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(run: Run<'_>, args: &[&str]) -> Value {
    serde_json::from_str(&ok(run, &[args, &["--json"]].concat())).expect("JSON")
}

fn on_stopped(dir: &Path) -> impl Fn(&[&str]) -> Output {
    move |args| command(dir, &[]).args(args).stdin(Stdio::null()).output().expect("the binary runs")
}

#[test]
fn people_are_administered_beside_a_running_system_and_on_a_stopped_one() {
    let dir = tempfile::tempdir().expect("temporary folder");
    ok(&on_stopped(dir.path()), &["ca", "init"]);
    people(&on_stopped(dir.path()));
    let broker = Broker::start();
    people(&|args| broker.run(args));
}

#[test]
fn the_guides_line_makes_an_admin_who_signs_in() {
    let broker = Broker::start();
    let line = "admin users create --email admin@yourdomain.com --password AdminPass123! --role admin";
    broker.run_ok(&line.split(' ').collect::<Vec<_>>());
    let mut server = crate::http::Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    let ask = r#"{"email":"admin@yourdomain.com","password":"AdminPass123!"}"#;
    let answer = server.post("/portal/auth/login", ask).expect("answered");
    assert_eq!((answer.status, &answer.json()["user"]["role"]), (200, &"admin".into()), "{}", answer.text());
    // What was done is chained by the running system, which nobody asks for it.
    chained_within(&broker, PATIENCE);
}

/// Waits until all audit rows have their place in the chain; returns how many there are.
fn chained_within(broker: &Broker, time: Duration) -> u64 {
    let give_up = Instant::now() + time;
    loop {
        let report = json(&|args| broker.run(args), &["admin", "audit", "verify"]);
        assert_eq!(report["intact"], true, "{report}");
        if report["unchained"] == 0 && report["last_position"].as_u64() > Some(1) {
            return report["last_position"].as_u64().expect("a number");
        }
        assert!(Instant::now() < give_up, "{report}");
    }
}

/// The lease of who leads lasts 30 seconds, and a process that was killed has not given it back.
#[test]
fn a_killed_system_chains_what_is_done_after_its_start_without_waiting_for_its_old_lease() {
    let mut broker = Broker::start();
    for round in 0..3 {
        let before = chained_within(&broker, PATIENCE);
        broker.kill();
        broker.restart();
        broker.run_ok(&["admin", "domains", "create", &format!("round-{round}")]);
        assert!(chained_within(&broker, Duration::from_secs(20)) > before);
    }
}

fn people(run: Run<'_>) {
    let ann = ["--email", "Ann@Example.org"];
    let create = ["admin", "users", "create", ann[0], ann[1], "--password", PASSWORD, "--role", "admin"];
    ok(run, &create);
    let users = json(run, &["admin", "users", "list", "--role", "admin"]);
    let row = users["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["email"] == "ann@example.org")
        .expect("created");
    assert_eq!((&row["role"], &row["is_active"]), (&"admin".into(), &true.into()));
    let again = run(&create);
    assert_eq!(again.status.code(), Some(1), "an address is one account's");
    assert!(String::from_utf8_lossy(&again.stderr).contains("conflict"), "{again:?}");

    let bob = ["--email", "bob@example.org"];
    let made = json(run, &["admin", "users", "create", bob[0], bob[1], "--password", PASSWORD, "--role", "user"]);
    assert_eq!(made["role"], "user");
    ok(run, &["admin", "users", "role", bob[0], bob[1], "--role", "user_manager"]);
    ok(run, &["admin", "users", "expiry", bob[0], bob[1], "--at", "2099-01-01T00:00:00Z"]);
    ok(run, &["admin", "users", "sending", bob[0], bob[1], "--allow", "true"]);
    ok(run, &["admin", "users", "disable", bob[0], bob[1]]);
    let listed = json(run, &["admin", "users", "list", "--active", "false"]);
    assert_eq!((&listed["data"][0]["role"], &listed["data"][0]["may_send"]), (&"user_manager".into(), &true.into()));
    assert_eq!(listed["data"][0]["expires_at"], "2099-01-01T00:00:00.000000Z");
    ok(run, &["admin", "users", "enable", bob[0], bob[1]]);
    ok(run, &["admin", "users", "password", bob[0], bob[1], "--password", "An0ther-horse"]);
    ok(run, &["admin", "users", "reset-two-factor", bob[0], bob[1]]);
    ok(run, &["admin", "users", "end-sessions", bob[0], bob[1]]);
    assert_eq!(json(run, &["admin", "users", "sessions", bob[0], bob[1]])["data"].as_array().map(Vec::len), Some(0));
    let table = ok(run, &["admin", "users", "list"]);
    assert!(table.lines().next().is_some_and(|line| line.contains("EMAIL")), "{table}");
    ok(run, &["admin", "users", "delete", bob[0], bob[1]]);
    let gone = run(&["admin", "users", "delete", bob[0], bob[1]]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no user bob@example.org"), "{gone:?}");
    let log = json(run, &["admin", "audit", "list", "--action", "user.", "--limit", "100"]);
    assert!(log["data"].as_array().expect("a list").len() >= 8, "{log}");
    assert!(!log.to_string().contains(PASSWORD));
}

#[test]
fn a_password_is_read_from_standard_input_and_a_weak_one_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    ok(&on_stopped(dir.path()), &["ca", "init"]);
    let create = |email: &str, password: &str, input: &str| {
        let args = ["admin", "users", "create", "--email", email, "--role", "admin", "--password", password];
        let mut child = command(dir.path(), &[])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("ended");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(create("a@example.org", "-", "Corr3ct-horse\n").0, Some(0));
    let (code, said) = create("b@example.org", "-", "weak\n");
    assert!(code == Some(1) && said.contains("password") && !said.contains("weak"), "{said}");
    assert_eq!(create("c@example.org", "-", "").0, Some(1));
}

#[test]
fn what_is_said_wrongly_is_a_usage_error_and_touches_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let run = on_stopped(dir.path());
    for wrong in [
        &["admin"][..],
        &["admin", "users", "create", "--email", "nobody", "--role", "admin"],
        &["admin", "users", "create", "--email", "a@example.org", "--role", "root"],
        &["admin", "users", "delete"],
        &["admin", "clients", "suspend", "No Name"],
        &["admin", "domains", "set", "shop"],
        &["admin", "messages", "list", "--from", "yesterday"],
        &["admin", "stats", "--period", "1y"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[test]
fn messages_are_found_and_opened_and_that_is_recorded() {
    let mut broker = Broker::start();
    let id = submit(&mut broker.demo(), "for admins alone");
    broker.wait_delivered(std::slice::from_ref(&id));
    let check = |broker: &Broker| {
        let run: Run<'_> = &|args| broker.run(args);
        let rows = json(run, &["admin", "messages", "list", "--client-id", "demo", "--sender", "+4915112345678"]);
        assert_eq!((&rows["data"][0]["id"], rows["data"].as_array().map(Vec::len)), (&id.as_str().into(), Some(1)));
        assert_eq!(rows["data"][0]["sender_number_masked"], "+491****5678");
        assert_eq!(
            json(run, &["admin", "messages", "list", "--status", "failed"])["data"].as_array().map(Vec::len),
            Some(0)
        );
        let closed = ok(run, &["admin", "messages", "show", &id]);
        assert!(closed.contains("delivered") && !closed.contains("for admins alone"), "{closed}");
        let opened = ok(run, &["admin", "messages", "show", &id, "--decrypt"]);
        assert!(opened.contains("for admins alone") && opened.contains("+4915112345678"), "{opened}");
        let log = json(run, &["admin", "audit", "list", "--object", &id]);
        assert_eq!(log["data"][0]["actor"], "admin:admin", "{log}");
        let stats = json(run, &["admin", "stats"]);
        assert_eq!((&stats["total_messages"], &stats["total_clients"]), (&1.into(), &1.into()));
        let unknown = run(&["admin", "messages", "show", "018f0000-0000-7000-8000-000000000000"]);
        assert_eq!(unknown.status.code(), Some(1));
        let report = json(run, &["admin", "audit", "verify"]);
        assert_eq!((&report["intact"], &report["faults"]), (&true.into(), &Value::Array(Vec::new())));
        assert!(json(run, &["admin", "notices", "list", "--all"])["data"].is_array());
    };
    check(&broker);
    broker.terminate();
    check(&broker);
}

#[test]
fn a_database_that_is_gone_is_filled_again_with_nobody_sending() {
    let mut broker = Broker::start();
    let ids: Vec<_> = (0..5).map(|_| submit(&mut broker.demo(), "kept")).collect();
    broker.wait_delivered(&ids);
    broker.terminate();
    let stored = |broker: &Broker| json(&|args| broker.run(args), &["admin", "stats"])["total_messages"].clone();
    assert_eq!(stored(&broker), 5);
    for file in ["message-broker.db", "message-broker.db-wal", "message-broker.db-shm"] {
        let _ = std::fs::remove_file(broker.dir().join(file));
    }
    broker.restart();
    let give_up = Instant::now() + Duration::from_secs(30);
    while stored(&broker) != 5 {
        assert!(Instant::now() < give_up, "nothing was offered again: {}", stored(&broker));
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_new_epoch_is_another_one_each_time_and_said_in_the_audit_log() {
    let broker = Broker::start();
    let run: Run<'_> = &|args| broker.run(args);
    let first = json(run, &["admin", "store", "new-epoch"]);
    let second = json(run, &["admin", "store", "new-epoch"]);
    assert_ne!(first["epoch"], second["epoch"]);
    submit(&mut broker.demo(), "and goes on");
    assert_eq!(
        json(run, &["admin", "audit", "list", "--action", "store.new_epoch"])["data"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn domains_are_added_and_their_rules_listed() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let run: Run<'_> = &on_stopped(dir.path());
    ok(run, &["ca", "init"]);
    let made = json(run, &["admin", "domains", "create", "shop", "--body-limit", "65536", "--retention-days", "90"]);
    assert_eq!((&made["id"], &made["settings"]["body_limit"]), (&"shop".into(), &65536.into()));
    assert_eq!(run(&["admin", "domains", "create", "shop"]).status.code(), Some(1));
    ok(run, &["admin", "domains", "set", "shop", "--retention-days", "default", "--rate-limit", "7"]);
    let rows = json(run, &["admin", "domains", "list"]);
    let shop = rows["data"].as_array().expect("a list").iter().find(|row| row["id"] == "shop").expect("made");
    assert_eq!((&shop["settings"]["rate_limit"], &shop["settings"]["retention_days"]), (&7.into(), &Value::Null));
    assert_eq!(shop["settings"]["body_limit"], 65536, "what is not named stays");
    let refused = run(&["admin", "domains", "set", "shop", "--body-limit", "65537"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1 to 65536"), "{refused:?}");
}

#[test]
fn what_was_kept_for_long_enough_is_removed_on_a_stopped_system_and_beside_a_running_one() {
    let mut broker = Broker::start();
    let sent = submit(&mut broker.demo(), "of today");
    broker.terminate();
    broker.run_ok(&["retention", "set", "--body-days", "3650", "--metadata-days", "3650"]);
    broker.run_ok(&["generate", "--count", "1000", "--days", "400", "--domains", "1", "--clients", "3", "--yes"]);
    let run = |args: &[&str]| broker.run(args);
    let retention = |args: &[&str]| json(&run, &[&["retention"], args].concat());
    let counts = |report: &Value| ["bodies", "messages"].map(|name| report[name].as_u64().expect("a count"));
    assert_eq!(counts(&retention(&["run", "--dry-run"])), [0, 0]);
    broker.run_ok(&["retention", "set", "--metadata-days", "300", "--body-days", "300"]);
    let due = counts(&retention(&["run", "--dry-run"]));
    assert!((200..300).contains(&due[1]), "{due:?}");
    let [bodies, messages] = counts(&retention(&["run"]));
    assert_eq!((bodies, messages), (0, due[1]), "a content goes with its message");
    assert_eq!(counts(&retention(&["run"])), [0, 0]);
    broker.restart();
    let run = |args: &[&str]| broker.run(args);
    let retention = |args: &[&str]| json(&run, &[&["retention"], args].concat());
    broker.run_ok(&["retention", "set", "--body-days", "30"]);
    // Whoever leads may have begun with it.
    retention(&["run"]);
    assert_eq!(counts(&retention(&["run", "--dry-run"])), [0, 0]);
    let settings = &retention(&["show"])["settings"];
    assert_eq!(
        (&settings["body_days"], &settings["metadata_days"], &settings["audit_days"]),
        (&30.into(), &300.into(), &400.into())
    );
    assert_eq!(run(&["retention", "set", "--metadata-days", "29"]).status.code(), Some(1));
    let shown = ok(&run, &["admin", "messages", "show", &sent, "--decrypt"]);
    assert!(shown.contains("of today"), "{shown}");
    let report = json(&run, &["admin", "audit", "verify"]);
    assert_eq!(report["intact"], true, "{report}");
}

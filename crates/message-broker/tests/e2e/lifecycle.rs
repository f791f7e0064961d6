//! Starting, stopping, and what stands in the way of either.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::harness::{Broker, PATIENCE, Ports, command, submit};

#[test]
fn a_second_start_reuses_everything() {
    let mut broker = Broker::start_with(&[("ADMIN_EMAIL", "Root@Example.org"), ("ADMIN_PASSWORD", "Correct1horse")]);
    let before = certificates(&broker);
    let id = submit(&mut broker.demo(), "before");
    let (code, took) = broker.terminate();
    assert_eq!(code, Some(0), "{}", broker.stderr());
    assert!(took < Duration::from_secs(10), "drained in {took:?}");
    broker.restart();
    assert_eq!(certificates(&broker), before);
    broker.wait_delivered(&[id]);
    assert!(!welcome(&broker).contains("password"), "nothing is shown twice");
}

#[test]
fn a_generated_admin_password_is_printed_once() {
    let mut broker = Broker::start();
    let first = welcome(&broker);
    assert!(first.contains("admin@localhost, password "), "{first}");
    broker.crash_and_restart();
    let second = welcome(&broker);
    assert!(!second.contains("password"), "{second}");
}

#[test]
fn a_start_that_fails_makes_no_admin_whose_password_nobody_saw() {
    let mut broker = Broker::start_with(&[("ADMIN_EMAIL", "first@example.org")]);
    assert!(welcome(&broker).contains("first@example.org, password "));
    broker.terminate();
    // As after a first start that a broken journal ended: everything is there but the admin.
    let journal = broker.dir().join("journal");
    std::fs::remove_dir_all(&journal).expect("removed");
    for name in ["message-broker.db", "message-broker.db-wal", "message-broker.db-shm"] {
        let _ = std::fs::remove_file(broker.dir().join(name));
    }
    std::fs::write(&journal, "in the way").expect("written");
    let output = broker.run(&["up"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("password"), "{said}");
    std::fs::remove_file(&journal).expect("removed");
    broker.restart();
    assert!(welcome(&broker).contains("first@example.org, password "));
}

#[test]
fn a_weak_admin_password_is_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut environment = spare_ports();
    environment.push(("ADMIN_PASSWORD".to_owned(), "short".to_owned()));
    let output = command(dir.path(), &environment).arg("up").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ADMIN_PASSWORD") && !said.contains("short"), "{said}");
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let busy = TcpListener::bind(("0.0.0.0", 0)).expect("a port");
    let port = busy.local_addr().expect("bound").port();
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = Ports::spare();
    let environment = vec![
        ("MB_PROXY__PORT".to_owned(), port.to_string()),
        ("MB_SERVER__PORT".to_owned(), ports.server.to_string()),
        ("MB_WORKER__PORT".to_owned(), ports.worker.to_string()),
        ("MB_PORTAL__PORT".to_owned(), ports.portal.to_string()),
    ];
    let output = command(dir.path(), &environment).arg("up").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("message-broker:")).expect("one line");
    assert!(line.contains(&port.to_string()) && line.contains("in use"), "{said}");
}

#[test]
fn a_data_directory_held_by_another_process_is_one_clear_line() {
    let broker = Broker::start();
    let output = broker.run(&["up"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("in use by another"), "{said}");
    submit(&mut broker.demo(), "the first goes on");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_one_clear_line() {
    let file = tempfile::NamedTempFile::new().expect("temporary file");
    for path in [file.path().join("below-a-file"), "/proc/message-broker".into()] {
        let output = command(&path, &[]).arg("up").output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("create") && said.lines().count() <= 2, "{said}");
    }
}

#[test]
fn messages_accepted_before_a_stop_are_delivered_after_it() {
    let mut broker = Broker::start();
    let mut demo = broker.demo();
    let ids: Vec<_> = (0..50).map(|round| submit(&mut demo, &format!("{round}"))).collect();
    assert_eq!(broker.terminate().0, Some(0), "{}", broker.stderr());
    broker.restart();
    broker.wait_delivered(&ids);
}

/// Settings for an `up` that is not to meet one on the default ports.
pub(crate) fn spare_ports() -> Vec<(String, String)> {
    let ports = Ports::spare();
    [("PROXY", ports.proxy), ("SERVER", ports.server), ("WORKER", ports.worker), ("PORTAL", ports.portal)]
        .map(|(role, port)| (format!("MB_{role}__PORT"), port.to_string()))
        .into()
}

/// What `up` prints once it has started, which is a moment after its ports answer.
pub(crate) fn welcome(broker: &Broker) -> String {
    let begun = Instant::now();
    loop {
        let text = broker.stdout();
        if text.contains("curl") {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "no welcome: {text}{}", broker.stderr());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn certificates(broker: &Broker) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = crate::harness::files(&broker.dir().join("certs"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("readable")))
        .collect();
    found.sort();
    found
}

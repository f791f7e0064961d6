//! Starting, stopping, and what stands in the way of either.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
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
fn a_start_beside_a_running_system_is_refused_at_once_and_leaves_its_logs_alone() {
    let broker = Broker::start();
    welcome(&broker);
    let log = broker.dir().join("logs/main_server.log");
    for role in ["up", "main-server", "portal"] {
        let begun = Instant::now();
        let output = broker.run(&[role]);
        assert!(begun.elapsed() < Duration::from_secs(2), "{role} was refused after {:?}", begun.elapsed());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("in use by another") && said.contains(&broker.pid().to_string()), "{said}");
    }
    let written = std::fs::read_to_string(log).expect("a log");
    assert!(!written.contains("in use by another"), "{written}");
}

#[cfg(unix)]
#[test]
fn a_restart_that_can_write_nothing_is_one_clear_line() {
    let mut broker = Broker::start();
    broker.terminate();
    // Folders that are there and take no file, as on a disk that was mounted read-only.
    for name in ["locks", "logs"] {
        let folder = broker.dir().join(name);
        std::fs::remove_dir_all(&folder).expect("removed");
        std::os::unix::fs::symlink("/proc/self", &folder).expect("linked");
    }
    let output = broker.run(&["up"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("main-server.lock"), "{said}");
}

#[test]
fn whoever_gets_an_answer_may_already_send_a_signal() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = Ports::spare();
    for round in 0..3 {
        let mut child = command(dir.path(), &ports.environment())
            .arg("up")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        let give_up = Instant::now() + PATIENCE;
        while !answers(ports.worker) {
            assert!(Instant::now() < give_up, "no answer");
        }
        std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert_eq!(child.wait().expect("ended").code(), Some(0), "round {round}");
    }
}

/// Whether something answers on a port of plain HTTP.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut first = [0];
    stream.set_read_timeout(Some(PATIENCE)).is_ok()
        && stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").is_ok()
        && stream.read(&mut first).is_ok_and(|read| read > 0)
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

/// Starts a role alone until it says `words`, then ends it.
fn says(role: &str, environment: &[(&str, &str)], words: &str) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = Ports::spare();
    let extra = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Vec<_> = ports.environment().into_iter().chain(extra).collect();
    let mut child = command(dir.path(), &environment)
        .arg(role)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let heard = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let heard = heard.take(20).take_while(|line| !line.contains(words)).collect::<Vec<_>>();
    let still_runs = child.try_wait().expect("is a process").is_none();
    child.kill().expect("ends");
    child.wait().expect("ends");
    assert!(still_runs && heard.len() < 20, "{role}: {heard:?}");
}

#[test]
fn each_role_says_what_it_waits_for() {
    let dead = Ports::spare().server;
    let database = format!("mysql://broker:word@127.0.0.1:{dead}/broker");
    says("main-server", &[("DATABASE_URL", &database)], "waiting for the database");
    for role in ["proxy", "worker", "portal"] {
        says(role, &[("MB_QUEUE__BACKEND", "redis")], "waiting for files");
    }
}

//! Revocation, suspension and rotation across separate processes.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::cluster::Cluster;
use crate::harness::{PATIENCE, message, submit};
use crate::http::Connection;

/// Within so long of the command's end nobody is let in any more.
const WITHIN: Duration = Duration::from_secs(5);

fn client(cluster: &Cluster, name: &str) -> Connection {
    Connection::client(&cluster.dir(), cluster.ports.proxy, name).expect("connected")
}

/// What `openssl s_client` is answered on a connection that takes up the session in a file, or leaves one there.
fn s_client(cluster: &Cluster, name: &str, version: &str, session: &[&str]) -> String {
    let folder = cluster.dir().join("certs/clients").join(name);
    let mut client = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-connect", &format!("localhost:{}", cluster.ports.proxy), version, "-CAfile"])
        .arg(cluster.dir().join("certs/ca.crt"))
        .arg("-cert")
        .arg(folder.join(format!("{name}.crt")))
        .arg("-key")
        .arg(folder.join(format!("{name}.key")))
        .args(session)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let ask = "GET /api/v1/messages/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.stdin.take().expect("piped").write_all(ask.as_bytes()).expect("sent");
    String::from_utf8_lossy(&client.wait_with_output().expect("ended").stdout).into_owned()
}

#[test]
fn revocation_reaches_new_resumed_and_open_connections_needs_openssl() {
    let cluster = Cluster::start();
    cluster.run_ok(&["ca", "issue", "till-1"]);
    let sessions = tempfile::tempdir().expect("temporary folder");
    let path = |version: &str| sessions.path().join(version).display().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let answer = s_client(&cluster, "till-1", version, &["-sess_out", &path(version)]);
        assert!(answer.contains("HTTP/1.1 404"), "known and let in: {answer}");
    }
    let (mut busy, mut idle) = (client(&cluster, "till-1"), client(&cluster, "till-1"));
    submit(&mut busy, "welcome");
    submit(&mut idle, "welcome");
    cluster.run_ok(&["ca", "revoke", "till-1"]);
    let revoked = Instant::now();
    // An open connection is refused or closed, whether it asks or not.
    if let Ok(answer) = busy.post("/api/v1/messages", &message("x")) {
        answer.assert_problem(403, "certificate_revoked");
    }
    assert!(idle.read_response().is_err(), "it is closed");
    assert!(revoked.elapsed() < WITHIN, "{:?}", revoked.elapsed());
    client(&cluster, "till-1")
        .post("/api/v1/messages", &message("x"))
        .expect("answered")
        .assert_problem(403, "certificate_revoked");
    for version in ["-tls1_2", "-tls1_3"] {
        // Where the listener gave out no session there is none to take up.
        let kept = path(version);
        let session = if std::path::Path::new(&kept).exists() { vec!["-sess_in", kept.as_str()] } else { Vec::new() };
        let answer = s_client(&cluster, "till-1", version, &session);
        assert!(answer.contains("HTTP/1.1 403") && answer.contains("certificate_revoked"), "{answer}");
        assert!(!answer.contains("Reused, "), "no session skips the handshake: {answer}");
    }
    submit(&mut cluster.demo().expect("connected"), "others go on");
}

#[test]
fn suspension_reaches_open_and_new_connections_and_ends() {
    let cluster = Cluster::start();
    cluster.run_ok(&["ca", "issue", "till-2"]);
    let mut open = client(&cluster, "till-2");
    submit(&mut open, "welcome");
    cluster.run_ok(&["admin", "clients", "suspend", "till-2"]);
    let suspended = Instant::now();
    if let Ok(answer) = open.post("/api/v1/messages", &message("x")) {
        answer.assert_problem(403, "client_suspended");
    }
    client(&cluster, "till-2")
        .post("/api/v1/messages", &message("x"))
        .expect("answered")
        .assert_problem(403, "client_suspended");
    assert!(suspended.elapsed() < WITHIN, "{:?}", suspended.elapsed());
    cluster.run_ok(&["admin", "clients", "resume", "till-2"]);
    submit(&mut client(&cluster, "till-2"), "welcome again");
}

#[test]
fn without_a_main_server_the_proxy_keeps_refusing_whom_it_knows() {
    let mut cluster = Cluster::start();
    cluster.run_ok(&["ca", "issue", "till-3"]);
    cluster.run_ok(&["ca", "revoke", "till-3"]);
    cluster.kill_role("main-server");
    cluster.kill_role("proxy");
    cluster.start_role("proxy");
    cluster.wait_ready();
    client(&cluster, "till-3")
        .post("/api/v1/messages", &message("x"))
        .expect("answered")
        .assert_problem(403, "certificate_revoked");
    let mut monitoring = Connection::component(&cluster.dir(), cluster.ports.proxy, "monitoring").expect("connected");
    let metrics = monitoring.get("/metrics").expect("answered").text();
    let age = metrics.lines().find_map(|line| line.strip_prefix("mb_proxy_policy_age_seconds ")).expect("its age");
    assert!(age.parse::<f64>().expect("a number") > 0.0, "{age}");
}

#[test]
fn a_rotation_reaches_a_proxy_of_its_own_and_what_waits_under_the_old_key_opens() {
    // What the killed worker held goes to the next one soon.
    let mut cluster = Cluster::start_with(&[("MB_REDIS__CLAIM_IDLE", "11")], &[]);
    let mut connection = cluster.demo().expect("connected");
    let mut ids = vec![submit(&mut connection, "before")];
    // What is sealed under the old key while nobody registers it.
    cluster.kill_role("worker");
    ids.push(submit(&mut connection, "waiting"));
    cluster.run_ok(&["keys", "rotate"]);
    ids.push(submit(&mut connection, "after"));
    cluster.run_ok(&["keys", "rewrap"]);
    cluster.start_role("worker");
    let mut admin = Connection::component(&cluster.dir(), cluster.ports.server, "admin").expect("connected");
    for (id, body) in ids.iter().zip(["before", "waiting", "after"]) {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let response = admin.get(&format!("/portal/messages/{id}")).expect("answered");
            if response.status == 200 {
                assert_eq!(response.json()["message_body"], body);
                break;
            }
            assert!(response.status == 404 && Instant::now() < give_up, "{}", response.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let keys = cluster.run_ok(&["keys", "list"]);
    assert!(keys.lines().next().is_some_and(|line| line.contains("active")), "{keys}");
}

//! Identity is the certificate alone.

use std::collections::BTreeSet;
use std::process::Command;

use mb_api::paths;
use mb_core::Role;

use crate::harness::{Broker, message, submit};
use crate::http::{Connection, Response};

#[test]
fn without_a_certificate_nothing_is_accepted_before_the_body_is_read() {
    let broker = Broker::start();
    let mut anonymous = Connection::anonymous(broker.dir(), broker.ports.proxy).expect("connected");
    anonymous.post("/api/v1/messages", "not json").expect("answered").assert_problem(401, "no_identity");
    anonymous.post("/api/v1/messages/batch", "").expect("answered").assert_problem(401, "no_identity");
    anonymous.get("/api/v1/messages/x").expect("answered").assert_problem(401, "no_identity");
    anonymous.get("/no/such/route").expect("answered").assert_problem(404, "not_found");
    anonymous.request("PUT", "/api/v1/messages", &[], b"").expect("answered").assert_problem(405, "method_not_allowed");
    assert_eq!(anonymous.get("/health").expect("answered").status, 200);
}

/// Asks a port with the certificate of a role.
fn ask(broker: &Broker, port: u16, role: Role, method: &str, path: &str) -> std::io::Result<Response> {
    let certs = broker.dir().join("certs");
    let (folder, name) = match role {
        Role::Client => (certs.join("clients/demo"), "demo"),
        Role::Consumer => (certs.join("clients/reader"), "reader"),
        _ => (certs, role.as_str()),
    };
    let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    let mut connection = Connection::open(broker.dir(), port, Some((&certificate, &key)))?;
    connection.request(method, path, &[("content-type", "application/json")], b"{}")
}

/// The main server's routes have a table of their own, beside them.
#[test]
fn the_proxys_routes_are_for_clients_alone_and_metrics_for_who_watches() {
    let broker = Broker::start_with(&[("MB_METRICS__LOOPBACK", "false")]);
    broker.run_ok(&["ca", "issue", "reader", "--role", "consumer"]);
    let routes = [
        ("POST", paths::MESSAGES),
        ("POST", paths::MESSAGES_BATCH),
        ("POST", paths::MESSAGES_STATUS),
        ("GET", paths::MESSAGE),
        ("DELETE", paths::MESSAGE),
    ];
    let health = [paths::API_HEALTH, paths::HEALTH, paths::HEALTH_LIVE, paths::HEALTH_READY];
    let known: BTreeSet<_> = routes.iter().map(|(_, path)| *path).chain(health).chain([paths::METRICS]).collect();
    assert_eq!(known, paths::PROXY.iter().copied().collect(), "no route is left out");
    let ports = [broker.ports.proxy, broker.ports.server, broker.ports.portal];
    for role in Role::ALL {
        for (method, path) in routes {
            let path = paths::with_id(path, &"01980000-0000-7000-8000-000000000000");
            let answer = ask(&broker, broker.ports.proxy, role, method, &path);
            match role {
                // Its extended key usage opens no connection.
                Role::Server => assert!(answer.is_err(), "{role} {method} {path}: {answer:?}"),
                Role::Client => {
                    let status = answer.expect("answered").status;
                    assert!(![401, 403].contains(&status), "{role} {method} {path}: {status}");
                }
                _ => answer.expect("answered").assert_problem(403, "wrong_role"),
            }
        }
        for port in ports.into_iter().filter(|_| role != Role::Server) {
            let answer = ask(&broker, port, role, "GET", paths::METRICS).expect("answered");
            let watches = matches!(role, Role::Monitoring | Role::Admin);
            assert_eq!(answer.status, if watches { 200 } else { 403 }, "{role} at {port}: {}", answer.text());
            assert_eq!(ask(&broker, port, role, "GET", paths::HEALTH_LIVE).expect("answered").status, 200, "{role}");
        }
    }
}

#[test]
fn other_roles_are_refused() {
    let broker = Broker::start();
    for (role, path) in [("worker", "/internal/messages/confirm"), ("proxy", "/internal/messages/register")] {
        let mut connection = broker.component(role, broker.ports.server);
        connection.post(path, "{}").expect("answered").assert_problem(403, "wrong_role");
    }
    let mut client = Connection::client(broker.dir(), broker.ports.server, "demo").expect("connected");
    for path in ["/internal/messages/register", "/internal/messages/confirm", "/admin/certificates/generate"] {
        client.post(path, "{}").expect("answered").assert_problem(403, "wrong_role");
    }
    client.get("/internal/policy").expect("answered").assert_problem(403, "wrong_role");
}

#[test]
fn headers_and_parameters_name_nobody() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "victim"]);
    let mut demo = broker.demo();
    let spoofed = [
        ("content-type", "application/json"),
        ("x-client-id", "victim"),
        ("x-ssl-client-cn", "victim"),
        ("x-forwarded-client-cert", "Subject=\"CN=victim\""),
        ("x-forwarded-for", "127.0.0.1"),
    ];
    let path = "/api/v1/messages?client_id=victim";
    let response = demo.post_with(path, &spoofed, message("x").as_bytes()).expect("answered");
    assert_eq!(response.json()["client_id"], "demo", "{}", response.text());
    let body = serde_json::json!({
        "sender_number": "+4915112345678", "message_body": "x", "metadata": { "client_id": "victim" }
    });
    let response = demo.post("/api/v1/messages", &body.to_string()).expect("answered");
    assert_eq!(response.json()["client_id"], "demo");
    let body = serde_json::json!({ "sender_number": "+4915112345678", "message_body": "x", "client_id": "victim" });
    demo.post("/api/v1/messages", &body.to_string()).expect("answered").assert_problem(422, "validation_failed");
}

#[test]
fn another_clients_message_is_not_found() {
    let broker = Broker::start();
    broker.run_ok(&["ca", "issue", "other"]);
    let id = submit(&mut broker.demo(), "private");
    let path = format!("/api/v1/messages/{id}");
    let mut other = broker.client("other");
    other.get(&path).expect("answered").assert_problem(404, "not_found");
    broker.wait_delivered(std::slice::from_ref(&id));
    other.get(&path).expect("answered").assert_problem(404, "not_found");
    let bulk = serde_json::json!({ "ids": [id] }).to_string();
    let bulk = other.post("/api/v1/messages/status", &bulk).expect("answered");
    assert_eq!(bulk.json()["data"], serde_json::json!([]));
}

#[test]
fn certificates_of_another_ca_are_refused() {
    let broker = Broker::start();
    let stranger = tempfile::tempdir().expect("temporary folder");
    let environment = Vec::new();
    for args in [&["ca", "init"][..], &["ca", "issue", "demo"]] {
        let issued = crate::harness::command(stranger.path(), &environment).args(args).output();
        assert!(issued.expect("the binary runs").status.success());
    }
    let folder = stranger.path().join("certs/clients/demo");
    let (certificate, key) = (folder.join("demo.crt"), folder.join("demo.key"));
    let answer = Connection::open(broker.dir(), broker.ports.proxy, Some((&certificate, &key)))
        .and_then(|mut connection| connection.post("/api/v1/messages", &message("x")));
    assert!(answer.is_err(), "a certificate of a foreign CA was taken: {answer:?}");
    submit(&mut broker.demo(), "others go on");
}

#[test]
fn a_submit_over_http_2_needs_curl() {
    let broker = Broker::start();
    let certs = broker.dir().join("certs");
    let url = format!("https://localhost:{}/api/v1/messages", broker.ports.proxy);
    let client = certs.join("clients/demo");
    let output = Command::new("curl")
        .args(["-sS", "--http2", "--cacert"])
        .arg(certs.join("ca.crt"))
        .arg("--cert")
        .arg(client.join("demo.crt"))
        .arg("--key")
        .arg(client.join("demo.key"))
        .args(["-H", "content-type: application/json", "-w", "\n%{http_code} %{http_version}", "-d"])
        .arg(message("by curl"))
        .arg(&url)
        .output()
        .expect("curl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.ends_with("202 2"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn only_tls_1_2_and_1_3_are_spoken_needs_openssl() {
    let broker = Broker::start();
    let certs = broker.dir().join("certs");
    let address = format!("localhost:{}", broker.ports.proxy);
    for (version, works) in [("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false)] {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &address, version, "-cipher", "DEFAULT:@SECLEVEL=0", "-CAfile"])
            .arg(certs.join("ca.crt"))
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.contains("Verify return code: 0 (ok)") && output.status.success(), works, "{version}: {text}");
    }
}

//! A database that is put back makes no revoked certificate good again and revives nobody's session, also if a main server
//! runs on it for a while before it is given its new epoch.

use serde_json::{Value, json};

use super::super::cluster::{Cluster, wait_until};
use crate::harness::{message, submit};
use crate::http::{Connection, Response};

const EMAIL: &str = "ada@example.org";
const PASSWORD: &str = "Analytical engine 1";

fn refused_by_the_proxy(cluster: &Cluster) {
    let mut till = Connection::client(&cluster.dir(), cluster.ports.proxy, "till-1").expect("connected");
    let answer = till.post("/api/v1/messages", &message("x")).expect("answered");
    answer.assert_problem(403, "certificate_revoked");
}

fn ask(cluster: &Cluster, path: &str, body: &Value) -> Response {
    let mut server = Connection::anonymous(&cluster.dir(), cluster.ports.server).expect("connected");
    server.post(path, &body.to_string()).expect("answered")
}

/// An access token and a refresh token.
fn sign_in(cluster: &Cluster) -> (String, String) {
    let answer = ask(cluster, "/portal/auth/login", &json!({ "email": EMAIL, "password": PASSWORD }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = |name: &str| answer.json()[name].as_str().expect("a token").to_owned();
    (token("access_token"), token("refresh_token"))
}

fn profile(cluster: &Cluster, token: &str) -> u16 {
    let mut server = Connection::anonymous(&cluster.dir(), cluster.ports.server).expect("connected");
    let bearer = format!("Bearer {token}");
    server.request("GET", "/portal/profile", &[("authorization", bearer.as_str())], b"").expect("answered").status
}

fn revoke_another(cluster: &Cluster, name: &str) {
    cluster.run_ok(&["ca", "issue", name]);
    cluster.run_ok(&["ca", "revoke", name]);
}

#[test]
fn nobody_who_was_revoked_or_signed_out_comes_back() {
    let mut cluster = Cluster::start();
    cluster.run_ok(&["ca", "issue", "till-1"]);
    cluster.run_ok(&["admin", "users", "create", "--email", EMAIL, "--password", PASSWORD, "--role", "admin"]);
    let mut till = Connection::client(&cluster.dir(), cluster.ports.proxy, "till-1").expect("connected");
    submit(&mut till, "still welcome");
    let (stays, left) = (sign_in(&cluster), sign_in(&cluster));
    let dump = cluster.database.dump();
    cluster.run_ok(&["ca", "revoke", "till-1"]);
    assert_eq!(ask(&cluster, "/portal/auth/logout", &json!({ "refresh_token": left.1 })).status, 204);
    refused_by_the_proxy(&cluster);

    // The main server goes on upon the restored database. The proxy forgets nothing, and the signed list on the main server's
    // disk brings back what the database does not know.
    cluster.database.lose_and_restore(&dump);
    // Versions that were handed out before come again; the second change goes beyond them.
    revoke_another(&cluster, "till-2");
    revoke_another(&cluster, "till-3");
    let revoked = || cluster.run_ok(&["ca", "list", "--status", "revoked"]);
    wait_until(&cluster, "the list's word", || revoked().contains("till-1"));
    refused_by_the_proxy(&cluster);
    // Another change of the policy, and a restart, make it forget as little.
    revoke_another(&cluster, "till-4");
    refused_by_the_proxy(&cluster);
    cluster.kill_role("proxy");
    cluster.start_role("proxy");
    cluster.wait_ready();
    refused_by_the_proxy(&cluster);

    cluster.run_ok(&["admin", "store", "new-epoch"]);
    assert!(cluster.run_ok(&["ca", "list", "--status", "revoked"]).contains("till-1"));
    refused_by_the_proxy(&cluster);
    let mut server = Connection::client(&cluster.dir(), cluster.ports.server, "till-1").expect("connected");
    let renewal = server.post_with("/pki/renew", &[("content-type", "application/x-pem-file")], b"x");
    renewal.expect("answered").assert_problem(403, "certificate_revoked");
    for (access, refresh) in [stays, left] {
        assert_eq!(profile(&cluster, &access), 401);
        assert_eq!(ask(&cluster, "/portal/auth/refresh", &json!({ "refresh_token": refresh })).status, 401);
    }
    assert_eq!(profile(&cluster, &sign_in(&cluster).0), 200, "whoever knows the password signs in again");
    submit(&mut cluster.demo().expect("connected"), "others go on");
}

//! Nothing readable at rest in the guide's deployment: journal, Redis' own log, MariaDB's files and every process's log, with
//! a receiver that sends back what it was sent.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::super::cluster::{Cluster, STREAM, wait_until};
use crate::echo;
use crate::harness::accepted_id;

const BODY: &str = "the quick brown fox in clear text";
const NUMBER: &str = "+4915199988877";
const META: &str = "meta-secret-7f3a";
const KEY: &str = "idempotency-key-secret-51";
const PASSWORD: &str = "Unspoken1word";
const COUNT: usize = 20;
/// Requests that fail, so that what the receiver said of them is kept: fewer than open a circuit breaker.
const FAILING: usize = 3;

/// The files below a folder that hold any of these; `grep` shares no code with what wrote them.
fn holding(folder: &Path, what: &[&str]) -> String {
    let mut grep = Command::new("grep");
    grep.args(["-rlaFs", "--"]).env("LC_ALL", "C").stdin(Stdio::null());
    let found = grep.arg(what.join("\n")).arg(folder).output().expect("grep runs");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

fn assert_clean(cluster: &Cluster, secrets: &[&str]) {
    let found = holding(cluster.root(), secrets);
    assert!(found.is_empty(), "something readable stands in {found}");
}

#[test]
fn no_file_of_any_server_holds_what_clients_sent() {
    let settings = [("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8"), ("LOG_LEVEL", "trace")];
    let mut cluster = Cluster::start_with(&settings, &[]);
    cluster.run_ok(&["admin", "users", "create", "--email", "a@example.org", "--password", PASSWORD, "--role", "user"]);
    let url = echo::start(FAILING);
    let create = ["admin", "destinations", "create", "hook", "--url", &url, "--retry", "fixed:1s*20", "--json"];
    let created: Value = serde_json::from_str(&cluster.run_ok(&create)).expect("JSON");
    let webhook = created["secret"].as_str().expect("a secret").to_owned();
    let mut demo = cluster.demo().expect("connected");
    let mut submit = |round: usize| {
        let body = serde_json::json!({
            "sender_number": NUMBER, "message_body": format!("{BODY} {round}"), "metadata": { "note": META }
        });
        let key = format!("{KEY}-{round}");
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let response = demo.post_with("/api/v1/messages", &headers, body.to_string().as_bytes());
        accepted_id(&response.expect("answered"))
    };
    // Some wait in the journal and in Redis, and some are handed over at once.
    cluster.kill_role("worker");
    let mut ids: Vec<_> = (0..COUNT / 2).map(&mut submit).collect();
    let secrets = [BODY, NUMBER, META, KEY, PASSWORD, webhook.trim_start_matches("whsec_")];
    wait_until(&cluster, "forwarding", || cluster.queue().length() > 0);
    assert_clean(&cluster, &secrets);
    cluster.start_role("worker");
    ids.extend((COUNT / 2..COUNT).map(&mut submit));
    cluster.wait_stored(&ids.iter().cloned().collect(), Duration::from_mins(2));
    let attempts = || cluster.database.sql("SELECT COUNT(*) FROM broker.attempts WHERE answer IS NOT NULL");
    wait_until(&cluster, "what the receiver said", || attempts().trim().parse::<usize>().is_ok_and(|n| n >= FAILING));

    assert_clean(&cluster, &secrets);
    // What is not secret is there: the right files were looked at.
    for (folder, what) in [("redis", STREAM), ("broker/journal", "demo"), ("mariadb", &url), ("broker/logs", "demo")] {
        assert!(!holding(&cluster.root().join(folder), &[what]).is_empty(), "{what} stands below {folder}");
    }
    // Nor does a dump of an operator's, nor what is left after a crash of everything.
    let dump = cluster.database.dump();
    assert!(dump.len() > 10_000, "there is something in it");
    std::fs::write(cluster.root().join("dump.sql"), dump).expect("written");
    cluster.redis.kill();
    cluster.database.kill();
    assert_clean(&cluster, &secrets);
}

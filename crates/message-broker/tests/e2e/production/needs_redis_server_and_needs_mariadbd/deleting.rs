//! A master key is destroyed only when no proxy's journal needs it any more, and then nothing is missing.

use std::time::Duration;

use serde_json::Value;

use super::super::cluster::{Cluster, wait_until};
use crate::harness::{message, submit};
use crate::http::Connection;

/// Messages that fill the segments in which the old key's still lie.
const FILLING: usize = 6000;

/// Journals let go of what is confirmed at once.
const SETTINGS: [(&str, &str); 1] = [("MB_JOURNAL__KEEP_FOR", "1")];

/// The proxies that need a key, by name.
fn needed_by(cluster: &Cluster, key: &str) -> Vec<String> {
    let rows: Value = serde_json::from_str(&cluster.run_ok(&["keys", "list", "--json"])).expect("JSON");
    let row = rows["data"].as_array().expect("a list").iter().find(|row| row["id"] == key).expect("the key").clone();
    let names = row["proxies"].as_array().expect("a list").iter();
    names.map(|proxy| proxy["name"].as_str().expect("a name").to_owned()).collect()
}

/// Fills a proxy's journal with messages under the key in use, until all are stored.
fn fill(cluster: &Cluster, port: u16) {
    let mut demo = Connection::client(&cluster.dir(), port, "demo").expect("connected");
    let one: Value = serde_json::from_str(&message(&"x".repeat(990))).expect("JSON");
    let batch = serde_json::json!({ "messages": vec![one; 1000] }).to_string();
    for _ in 0..FILLING / 1000 {
        assert_eq!(demo.post("/api/v1/messages/batch", &batch).expect("answered").status, 202);
    }
}

fn opened(cluster: &Cluster, id: &str) -> Value {
    let mut admin = Connection::component(&cluster.dir(), cluster.ports.server, "admin").expect("connected");
    admin.get(&format!("/portal/messages/{id}")).expect("answered").json()["message_body"].clone()
}

#[test]
fn a_master_key_goes_once_no_proxys_journal_needs_it() {
    let mut cluster = Cluster::start_with(&SETTINGS, &[]);
    let other = cluster.add("proxy-b", "proxy");
    let keys: Value = serde_json::from_str(&cluster.run_ok(&["keys", "list", "--json"])).expect("JSON");
    let first = keys["data"][0]["id"].as_str().expect("an id").to_owned();
    let ids = [cluster.ports.proxy, other].map(|port| {
        let mut demo = Connection::client(&cluster.dir(), port, "demo").expect("connected");
        submit(&mut demo, "under the first key")
    });
    cluster.wait_stored(&ids.clone().into(), Duration::from_mins(1));
    cluster.run_ok(&["keys", "rotate"]);
    assert!(cluster.refused(&["keys", "delete", &first]).contains("keys rewrap"), "what is stored needs it");
    cluster.run_ok(&["keys", "rewrap"]);
    wait_until(&cluster, "both reports", || needed_by(&cluster, &first) == ["proxy", "proxy-b"]);
    let refused = cluster.refused(&["keys", "delete", &first]);
    assert!(refused.contains("journal of proxy (") && refused.contains("proxy-b ("), "{refused}");

    for port in [cluster.ports.proxy, other] {
        fill(&cluster, port);
    }
    let journals = [cluster.ports.proxy, other];
    wait_until(&cluster, "confirmation", || journals.iter().all(|port| cluster.metric(*port, "mb_journal_depth") == 0));
    // What was under way when the key changed is over with the process.
    for (name, left) in [("proxy", &["proxy-b"][..]), ("proxy-b", &[])] {
        cluster.kill_role(name);
        cluster.start_role(name);
        wait_until(&cluster, "its report", || needed_by(&cluster, &first) == left);
        if !left.is_empty() {
            let refused = cluster.refused(&["keys", "delete", &first]);
            assert!(refused.contains("proxy-b (") && !refused.contains("proxy ("), "{refused}");
        }
    }
    let file = cluster.dir().join(format!("secrets/encryption.{first}.key"));
    assert!(file.exists());
    cluster.run_ok(&["keys", "delete", &first]);
    assert!(!file.exists());
    assert!(!cluster.run_ok(&["keys", "list"]).contains(&first));
    cluster.kill_role("main-server");
    cluster.start_role("main-server");
    wait_until(&cluster, "a start", || {
        Connection::anonymous(&cluster.dir(), cluster.ports.server)
            .and_then(|mut server| server.get("/health/ready"))
            .is_ok_and(|answer| answer.status == 200)
    });
    for id in &ids {
        assert_eq!(opened(&cluster, id), "under the first key");
    }
    let last = submit(&mut cluster.demo().expect("connected"), "afterwards");
    cluster.wait_stored(&[last].into(), Duration::from_mins(1));
    cluster.run_ok(&["admin", "audit", "verify"]);
}

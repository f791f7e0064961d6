//! What a main server knows of those that it does not see: workers, journals, the stream in Redis.

use serde_json::Value;

use super::super::cluster::{Cluster, wait_until};
use crate::http::Connection;

fn asked(cluster: &Cluster, path: &str) -> Value {
    let mut admin = Connection::component(&cluster.dir(), cluster.ports.server, "admin").expect("connected");
    let answer = admin.get(path).expect("answered");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn workers(cluster: &Cluster) -> Vec<Value> {
    asked(cluster, "/admin/workers/status")["data"].as_array().expect("a list").clone()
}

#[test]
fn an_admin_sees_the_workers_the_queue_and_the_database() {
    let mut cluster = Cluster::start();
    wait_until(&cluster, "the worker's word", || workers(&cluster).len() == 1);
    let worker = &workers(&cluster)[0];
    assert_eq!((&worker["name"], &worker["state"]), (&"worker".into(), &"healthy".into()), "{worker}");
    assert_eq!(worker["version"], env!("CARGO_PKG_VERSION"));
    let queue = asked(&cluster, "/admin/queue");
    assert_eq!((&queue["queue"]["backend"], &queue["queue"]["depth"]), (&"redis".into(), &0.into()), "{queue}");
    assert_eq!(queue["queue"]["reported_by"], worker["id"]);
    wait_until(&cluster, "the proxy's word", || {
        asked(&cluster, "/admin/queue")["proxies"].as_array().is_some_and(|proxies| proxies.len() == 1)
    });
    let database = asked(&cluster, "/admin/database");
    assert_eq!(database["backend"], "mariadb", "{database}");
    let tables = database["tables"].as_array().expect("tables");
    assert!(tables.iter().any(|table| table["name"] == "messages" && table["bytes"].as_u64() > Some(0)), "{database}");
    cluster.signal("worker", "-TERM");
    assert!(cluster.ended("worker").success());
    assert!(workers(&cluster).is_empty(), "who has ended is not missed");
}

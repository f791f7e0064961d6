//! The list of metrics: what every role registers when it is wired as in production, with the queue in Redis.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mb_queue::{RedisAddress, RedisConfig};
use mb_runtime::metrics::Description;
use tempfile::TempDir;

use super::*;
use crate::bootstrap;
use crate::config::Resolved;
use crate::reference;

#[tokio::test]
async fn metrics_are_listed() {
    let mut listed = BTreeMap::<String, (Description, Vec<&str>)>::new();
    for (role, metrics) in Box::pin(of_every_role()).await {
        for known in metrics.descriptions() {
            let (first, roles) = listed.entry(known.name.clone()).or_insert_with(|| (known.clone(), Vec::new()));
            assert_eq!(*first, known, "one name, one meaning");
            roles.push(role);
        }
    }
    let mut text = String::from(
        "# Metrics\n\nEvery metric of every role; generated. How to scrape, watch and react: \
         [monitoring](../monitoring/README.md), [runbook.md](runbook.md).\n\n\
         | name | type | labels | role | meaning |\n|---|---|---|---|---|\n",
    );
    for (name, (Description { kind, help, labels, .. }, roles)) in listed {
        let (kind, labels, roles) = (kind.as_str(), labels.join(", "), roles.join(", "));
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {roles} | {help} |");
    }
    reference::compare("metrics.md", &text);
}

async fn of_every_role() -> [(&'static str, Metrics); 5] {
    let dir = TempDir::new().expect("a folder");
    let ports = ["PROXY", "SERVER", "WORKER", "PORTAL"].map(|section| (format!("MB_{section}__PORT"), "0".to_owned()));
    let layout = Layout::new(dir.path());
    layout.create().expect("created");
    let resolved = Resolved::load(layout.root(), &ports).expect("a configuration");
    let (config, lifecycle, clock) = (&resolved.config, Lifecycle::new(), Clock::System);
    let knobs = Knobs::default();
    let revoked = RevokedSet::default();
    let wiring =
        Wiring { layout: &layout, config, clock: clock.clone(), lifecycle: &lifecycle, knobs: &knobs, revoked };
    let mut main_server = Metrics::new();
    let opened = bootstrap::main_server(&layout, &resolved, &clock, &mut main_server, lifecycle.soft()).await;
    let (server, store) = opened.expect("a main server");
    let made = bootstrap::component_certificates(&layout, config, server.authority(), &store, &clock).await;
    made.expect("certificates");
    let listener = |role| bind(config, role).expect("a port");
    let policy = PolicyWatch::from(server.policy());
    let app = wiring.main_server(listener(Role::Server), &server, policy.clone(), main_server.clone());
    let link = Link::InProcess(app.expect("a main server"));
    let journal = wiring.open_journal().await.expect("a journal");
    let redis = RedisConfig::new(RedisAddress::Tcp("127.0.0.1".to_owned(), 1));
    let proxy = wiring.proxy(listener(Role::Proxy), &journal, &link, Some(redis.clone())).expect("a proxy");
    let portal = wiring.portal(listener(Role::Portal), policy, None, &link).expect("a portal");
    let waiting = Waiting::Redis(Box::new(redis));
    let worker = wiring.worker(listener(Role::Worker), waiting, &link, None, Vec::new()).expect("a worker");
    lifecycle.stop();
    let process = Metrics::of_process(env!("CARGO_PKG_VERSION"), &clock);
    [("main-server", main_server), ("proxy", proxy), ("worker", worker), ("portal", portal), ("every process", process)]
}

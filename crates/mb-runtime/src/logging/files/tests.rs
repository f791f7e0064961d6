//! Lines land whole in the file of the component that logged them.

use std::fs;
use std::io::Write as _;

use mb_core::Timestamp;
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::logging::{inherited, json_lines};

const BOTH: &[Component] = &[Component::MainServer, Component::Proxy];

fn begin() -> (TempDir, Sink, Logs) {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(Timestamp::from_micros(1_795_000_000_000_000));
    let files = LogFiles { dir: dir.path().join("logs"), clock, components: BOTH };
    let (sink, logs) = start(&files, Limits::STANDARD).expect("starts");
    (dir, sink, logs)
}

fn lines(dir: &TempDir, name: &str) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(dir.path().join("logs").join(name)).expect("a log file");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[tokio::test]
async fn each_component_has_its_own_file_and_the_first_also_what_is_nobodys() {
    let (dir, sink, logs) = begin();
    let subscriber = tracing_subscriber::registry().with(json_lines(sink));
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("nobody's");
    Component::Proxy.scope(|| tracing::info!("the proxy's"));
    Component::Proxy.scope(|| inherited(async { tracing::info!("the proxy's task's") })).await;
    tracing::info!(target: "mb_queue::journal", "the journal's thread's");
    Component::Worker.scope(|| tracing::info!("of one that does not run here"));
    drop(guard);
    logs.ended("a reason");
    logs.close();
    let messages = |name| lines(&dir, name).iter().map(|line| line["message"].clone()).collect::<Vec<_>>();
    assert_eq!(messages("main_server.log"), ["nobody's", "of one that does not run here", "ended"]);
    assert_eq!(messages("proxy.log"), ["the proxy's", "the proxy's task's", "the journal's thread's"]);
    assert_eq!(lines(&dir, "main_server.log")[2]["error"], "a reason");
}

#[test]
fn what_does_not_fit_is_counted_and_the_file_says_so() {
    let (dir, sink, logs) = begin();
    let huge = vec![b'x'; QUEUE_BYTES + 1];
    LineWriter { sink: &sink, component: Component::Proxy }.write_all(&huge).expect("never refused");
    LineWriter { sink: &sink, component: Component::Proxy }.write_all(b"{\"message\":\"next\"}\n").expect("written");
    logs.close();
    let proxy = lines(&dir, "proxy.log");
    assert_eq!((&proxy[0]["message"], &proxy[0]["lost"]), (&"log lines were lost".into(), &1.into()));
    assert_eq!(proxy[1]["message"], "next");
}

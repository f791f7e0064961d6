//! Scraping, rules and dashboards; `promtool` comes with Prometheus.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::prometheus::{Prometheus, lay_out, shipped};
use crate::harness::{Broker, submit};

/// Metrics of what is not there, or did not happen: a query for these may find nothing in a small healthy system.
const MAY_BE_SILENT: [&str; 5] = [
    "_queue_failing_seconds",
    "mb_worker_register_failures_total",
    "mb_mail_oldest_timestamp_seconds",
    "changes(",
    "ALERTS",
];

/// A system in which a little of everything has happened. Loopback has no privilege: only the certificate opens /metrics.
fn busy_broker() -> Broker {
    let broker = Broker::start_with(&[("MB_METRICS__LOOPBACK", "false")]);
    let id = submit(&mut broker.demo(), "x");
    broker.wait_delivered(&[id]);
    broker.demo().post("/api/v1/messages", "{").expect("answered").assert_problem(400, "malformed_json");
    let nobody = r#"{"email":"nobody@example.com","password":"wrong"}"#;
    let mut anybody = crate::http::Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    assert_eq!(anybody.post("/portal/auth/login", nobody).expect("answered").status, 401);
    broker
}

fn all_up(answer: &Value, count: usize) -> bool {
    let targets = answer["data"]["activeTargets"].as_array();
    targets.is_some_and(|targets| targets.len() == count && targets.iter().all(|target| target["health"] == "up"))
}

/// The metrics that an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics = words.filter(|word| word.starts_with("mb_") || word.starts_with("process_"));
    metrics.map(str::to_owned).collect()
}

/// The names of docs/metrics.md, with those that a histogram has.
fn listed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(shipped("../docs/metrics.md")).expect("the list of metrics");
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("| `")) {
        let (name, rest) = line.split_once('`').expect("a name");
        if rest.starts_with(" | histogram") {
            names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")));
        } else {
            names.insert(name.to_owned());
        }
    }
    assert!(names.len() > 50, "{names:?}");
    names
}

/// Every expression of a dashboard, with its variables as Grafana would fill them in.
fn expressions(dashboard: &Value, into: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                into.push(expression.replace("$instance", ".*").replace("$__rate_interval", "1m"));
            }
            fields.values().for_each(|value| expressions(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, into)),
        _ => {}
    }
}

fn promtool(dir: &TempDir, arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(dir.path()).output().expect("promtool runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn configuration_and_rules_are_good_and_fire_when_they_should() {
    let (broker, dir) = (Broker::start(), TempDir::new().expect("a folder"));
    lay_out(dir.path(), &broker);
    for configuration in ["prometheus.yml", "prometheus-up.yml"] {
        promtool(&dir, &["check", "config", "--lint=all", "--lint-fatal", configuration]);
    }
    let tests: Vec<_> = std::fs::read_dir(dir.path().join("tests"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect();
    let arguments = [&["test", "rules"][..], &tests.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    promtool(&dir, &arguments);
}

#[test]
fn every_component_is_scraped_and_every_question_has_an_answer() {
    let broker = busy_broker();
    let prometheus = Prometheus::start(&broker, "prometheus.yml");
    prometheus.wait("/api/v1/targets", |answer| all_up(answer, 4));
    // A rate needs two scrapes.
    prometheus.wait("/api/v1/query?query=count_over_time(up[1m])>2", |answer| {
        answer["data"]["result"].as_array().is_some_and(|series| series.len() == 4)
    });
    let twice = prometheus.query("count by (role) (mb_certificate_expiry_timestamp_seconds) > 1").expect("an answer");
    assert!(twice.is_empty(), "nothing may count twice: {twice:?}");
    let accepted = prometheus.query("sum(mb_proxy_accepted_total)").expect("an answer");
    assert_eq!(accepted[0]["value"][1], "1", "nothing may count twice");

    let rules = prometheus.wait("/api/v1/rules", |answer| {
        let evaluated = |rule: &Value| rule["health"] != "unknown";
        answer["data"]["groups"].as_array().is_some_and(|groups| {
            !groups.is_empty()
                && groups.iter().all(|group| group["rules"].as_array().is_some_and(|r| r.iter().all(evaluated)))
        })
    });
    let listed = listed();
    let mut faults = Vec::new();
    let groups = rules["data"]["groups"].as_array().into_iter().flatten();
    for rule in groups.filter_map(|group| group["rules"].as_array()).flatten() {
        let (query, health) = (rule["query"].as_str().unwrap_or_default(), &rule["health"]);
        if health != "ok" {
            faults.push(format!("{}: {health}, {}", rule["name"], rule["lastError"]));
        }
        faults.extend(named(query).difference(&listed).map(|name| format!("{}: {name} is no metric", rule["name"])));
    }

    let text = std::fs::read_to_string(shipped("grafana/dashboards/system_dashboard.json")).expect("the dashboard");
    let (dashboard, mut asked) = (serde_json::from_str(&text).expect("JSON"), Vec::new());
    expressions(&dashboard, &mut asked);
    assert!(asked.len() > 50, "{}", asked.len());
    for expression in asked {
        faults.extend(named(&expression).difference(&listed).map(|name| format!("{name} is no metric: {expression}")));
        match prometheus.query(&expression) {
            Err(error) => faults.push(format!("{error}: {expression}")),
            Ok(series) if series.is_empty() && !MAY_BE_SILENT.iter().any(|name| expression.contains(name)) => {
                faults.push(format!("finds nothing: {expression}"));
            }
            Ok(_) => {}
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn one_scrape_of_up_has_all_components() {
    let broker = busy_broker();
    let prometheus = Prometheus::start(&broker, "prometheus-up.yml");
    prometheus.wait("/api/v1/targets", |answer| all_up(answer, 1));
    for name in ["mb_proxy_accepted_total", "mb_server_registered_total", "mb_worker_batches_total"] {
        // A target is up a moment before what it said can be asked for.
        let found = |answer: &Value| answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty());
        prometheus.wait(&format!("/api/v1/query?query={name}"), found);
        let series = prometheus.query(name).expect("an answer");
        assert_eq!((series.len(), &series[0]["value"][1]), (1, &"1".into()), "{name}");
    }
    assert_eq!(prometheus.query("mb_certificate_expiry_timestamp_seconds").expect("an answer").len(), 5);
    // What Prometheus scraped is what it would lint without a word.
    let text = prometheus.dir.path().join("metrics.txt");
    let scraped = crate::observability::plain(broker.ports.worker, "/metrics").1;
    std::fs::write(&text, scraped).expect("written");
    let input = std::fs::File::open(&text).expect("a file");
    let lint = Command::new("promtool").args(["check", "metrics"]).stdin(input).output().expect("promtool runs");
    let said = format!("{}{}", String::from_utf8_lossy(&lint.stdout), String::from_utf8_lossy(&lint.stderr));
    assert!(lint.status.success() && said.is_empty(), "{said}");
}

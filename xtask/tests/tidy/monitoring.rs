//! What is shipped for watching a system: alerts that say what to do, and a dashboard that is put together well. What their
//! expressions find is asked of a real Prometheus elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::assert_none;
use crate::tree::{File, files};

const DASHBOARD: &str = "monitoring/grafana/dashboards/system_dashboard.json";

/// The alerts of a file of rules: their names and the lines of each.
fn alerts(file: &File) -> Vec<(String, String)> {
    let parts = file.text.split("- alert: ").skip(1);
    parts.map(|part| (part.lines().next().unwrap_or_default().trim().to_owned(), part.to_owned())).collect()
}

#[test]
fn every_alert_says_what_it_means_and_what_to_do() {
    let runbook = files(&["md"]).into_iter().find(|file| file.path == "docs/runbook.md").expect("the runbook").text;
    let headings: BTreeSet<_> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let rules = files(&["yml"]).into_iter().filter(|file| file.is_in("monitoring/prometheus/rules"));
    let (mut violations, mut anchors, mut names) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (name, text) in rules.flat_map(|file| alerts(&file)) {
        for field in ["summary: \"", "description: \"", "runbook: \"docs/runbook.md#", "severity: "] {
            if !text.contains(field) {
                violations.push(format!("{name} has no {field}"));
            }
        }
        let anchor = text.split("runbook.md#").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        if !headings.iter().any(|heading| heading.to_lowercase() == anchor) || !runbook.contains(&name) {
            violations.push(format!("{name}: docs/runbook.md does not speak of it under {anchor}"));
        }
        anchors.insert(anchor.to_owned());
        names.insert(name);
    }
    assert!(names.len() > 20, "{names:?}");
    let gone = headings.iter().filter(|heading| !anchors.contains(&heading.to_lowercase()));
    violations.extend(gone.map(|heading| format!("docs/runbook.md: no alert leads to {heading}")));
    let tests = files(&["yml"]).into_iter().filter(|file| file.is_in("monitoring/prometheus/tests"));
    let tested = tests.map(|file| file.text).collect::<String>();
    let untested = names.iter().filter(|name| !tested.contains(&format!("alertname=\"{name}\"")));
    violations.extend(untested.map(|name| format!("{name} fires in no test of monitoring/prometheus/tests")));
    assert_none(&violations, "an alert is worth as much as its remedy");
}

#[test]
fn the_dashboard_is_put_together_well() {
    let file = files(&["json"]).into_iter().find(|file| file.path == DASHBOARD).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&file.text).expect("JSON");
    let mut violations = Vec::new();
    for (field, expected) in [("uid", "message-broker-system".into()), ("schemaVersion", Value::from(39))] {
        if dashboard[field] != expected {
            violations.push(format!("{field} is {}", dashboard[field]));
        }
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "instance"]);
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut taken, mut section) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        let name = format!("{section} / {title}");
        if title.is_empty() || !ids.insert(panel["id"].as_u64()) {
            violations.push(format!("{name}: a title and an id of its own"));
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
        if at("w") == 0 || at("h") == 0 || at("x") + at("w") > 24 {
            violations.push(format!("{name}: lies outside the grid"));
        }
        let mut cells = (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)));
        if !cells.all(|cell| taken.insert(cell)) {
            violations.push(format!("{name}: lies on another panel"));
        }
        if panel["type"] == "row" {
            title.clone_into(&mut section);
        } else {
            violations.extend(faults(panel).into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    assert_none(&violations, "mend these panels");
}

/// What a panel that shows something lacks.
fn faults(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if panel["description"].as_str().is_none_or(str::is_empty) {
        faults.push("say what it shows".to_owned());
    }
    let overrides = panel["fieldConfig"]["overrides"].to_string();
    if panel["fieldConfig"]["defaults"]["unit"].as_str().is_none_or(str::is_empty) && !overrides.contains("\"unit\"") {
        faults.push("has no unit".to_owned());
    }
    let mut letters = BTreeSet::new();
    let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    for target in targets {
        if target["datasource"]["uid"] != "${datasource}" || panel["datasource"]["uid"] != "${datasource}" {
            faults.push("asks another data source than the one chosen".to_owned());
        }
        if !letters.insert(target["refId"].as_str()) || target["expr"].as_str().is_none_or(str::is_empty) {
            faults.push("a question has no letter of its own, or asks nothing".to_owned());
        }
    }
    if targets.is_empty() {
        faults.push("asks nothing".to_owned());
    }
    faults
}

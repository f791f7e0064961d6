//! The document says what there is, and the page says what the document does.

use std::collections::BTreeSet;

use super::*;

/// Every operation as (method, path, operation).
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let items = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| {
        let item = item.as_object().expect("an item").clone();
        let path = path.clone();
        item.into_iter()
            .filter(|(name, _)| answers::METHODS.contains(&name.as_str()))
            .map(move |(method, operation)| (method, path.clone(), operation))
            .collect::<Vec<_>>()
    };
    items.iter().flat_map(methods).collect()
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<_> = document["paths"].as_object().expect("paths").keys().cloned().collect();
    let known: BTreeSet<_> = paths::SERVER.iter().chain(paths::PROXY).map(|path| (*path).to_owned()).collect();
    let missing: Vec<_> = known.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not described: {missing:?}; no routes: {unknown:?}");
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_a_known_tag() {
    let document = document();
    let tags: BTreeSet<_> =
        document["tags"].as_array().expect("tags").iter().map(|tag| tag["name"].clone().to_string()).collect();
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name").to_owned();
        assert!(names.insert(name.clone()), "{name} twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert!(tags.contains(&operation["tags"][0].to_string()), "{method} {path}");
    }
}

#[test]
fn every_refusal_is_a_problem_and_every_secured_operation_can_refuse() {
    for (method, path, operation) in operations(&document()) {
        let answers = operation["responses"].as_object().expect("answers");
        for (status, answer) in answers.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let types: Vec<_> = answer["content"].as_object().expect("a body").keys().collect();
            let health = operation["tags"][0] == "operation";
            assert!(
                (health && status == "503") || types == ["application/problem+json"],
                "{method} {path} {status}: {types:?}"
            );
            assert_ne!(answer["description"], "", "{method} {path} {status}");
        }
        let open = |ways: &Value| ways.as_array().is_some_and(|ways| ways.contains(&serde_json::json!({})));
        if operation.get("security").is_some_and(|ways| !open(ways)) {
            assert!(answers.contains_key("401") && answers.contains_key("403"), "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn others_are_read_and_put_beside_what_handlers_say() {
    let others: Value = serde_json::from_str(OTHERS).expect("JSON");
    let document = document();
    for path in others["paths"].as_object().expect("paths").keys() {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    for path in paths::PROXY.iter().filter(|path| path.starts_with("/api/")) {
        let server = document["paths"][path].as_object().expect("a path").values().next().expect("an operation");
        assert_eq!(server["servers"][0]["description"], "The proxy", "{path}");
    }
}

#[test]
fn the_page_shows_every_operation_and_runs_nothing() {
    let document = document();
    let page = page::render(&document);
    for (_, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(page.contains(&format!("<h3 id=\"{name}\">")), "{name}");
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for forbidden in ["<script", "style=", "http://", "src=", "onclick", "javascript:"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let hostile = serde_json::json!({ "info": { "title": "<b>&\"'" }, "paths": {}, "components": {}, "tags": [] });
    assert!(page::render(&hostile).contains("&lt;b&gt;&amp;&quot;&#39;"));
}

#[test]
fn examples_fit_their_schemas_in_kind() {
    let document = document();
    let example = sample::sample(&document, &serde_json::json!({ "$ref": "#/components/schemas/MessageRow" }));
    assert_eq!(example["status"], "queued");
    assert_eq!(example["queued_at"], "2026-11-25T12:00:00.000000Z");
    assert!(example["attempt_count"].is_number());
    let created = sample::sample(&document, &serde_json::json!({ "$ref": "#/components/schemas/CreateDomain" }));
    assert!(serde_json::from_value::<mb_api::dto::CreateDomain>(created).is_ok());
}

//! An example of a value from its schema.

use serde_json::{Map, Value, json};

/// How deep references are followed; what lies deeper shows as an empty object.
const DEPTH: usize = 6;

/// An example that fits the schema; its own, if it has one.
pub(super) fn sample(document: &Value, schema: &Value) -> Value {
    at_depth(document, schema, 0)
}

/// The schema that a reference names, or the schema itself.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

fn at_depth(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if depth > DEPTH {
        return json!({});
    }
    if let Some(example) = schema.get("example").or_else(|| schema.pointer("/examples/0")) {
        return example.clone();
    }
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[several].as_array() {
            let choice = choices.iter().find(|choice| choice["type"] != "null");
            return choice.map_or(Value::Null, |choice| at_depth(document, choice, depth + 1));
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| at_depth(document, part, depth + 1));
        let members = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(members.collect());
    }
    match kind(schema) {
        "object" => Value::Object(members(document, schema, depth)),
        "array" => json!([at_depth(document, &schema["items"], depth + 1)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "string" => text(schema).into(),
        _ => Value::Null,
    }
}

/// The schema's type; of a type that may be `null`, the other one.
pub(super) fn kind(schema: &Value) -> &str {
    let several = schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str);
    schema["type"].as_str().or_else(|| several.into_iter().find(|name| *name != "null")).unwrap_or_default()
}

fn members(document: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let named = schema["properties"].as_object().into_iter().flatten();
    named.map(|(name, member)| (name.clone(), at_depth(document, member, depth + 1))).collect()
}

fn text(schema: &Value) -> &'static str {
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("date-time"), _) => "2026-11-25T12:00:00.000000Z",
        (Some("uuid"), _) => "019365d0-7c5e-7000-8000-000000000001",
        (Some("email"), _) => "ann@example.org",
        (Some("password"), _) => "********",
        (_, Some(pattern)) if pattern.starts_with("^\\+") => "+4915112345678",
        (_, Some(pattern)) if pattern.contains("{32}") => "000102030405060708090a0b0c0d0e0f",
        (_, Some(pattern)) if pattern.contains("126") => "default",
        (_, Some(pattern)) if pattern.contains("62") => "demo",
        (_, Some(_)) => "0193",
        _ => "text",
    }
}

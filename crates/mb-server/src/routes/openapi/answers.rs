//! What every operation may answer beside what it says itself, and who may ask.

use serde_json::{Map, Value, json};

/// The members of a path item that are operations (OpenAPI 3.1, section 4.8.9).
pub(super) const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Adds the answers that follow from an operation's form, gives every refusal its body, and says how callers are known.
pub(super) fn complete(document: &mut Value) {
    document["components"]["securitySchemes"] = schemes();
    let Some(items) = document["paths"].as_object_mut() else { return };
    for (path, item) in items {
        let Some(item) = item.as_object_mut() else { continue };
        for (_, operation) in item.iter_mut().filter(|(name, _)| METHODS.contains(&name.as_str())) {
            if let Some(operation) = operation.as_object_mut() {
                complete_operation(path, operation);
            }
        }
    }
}

fn complete_operation(path: &str, operation: &mut Map<String, Value>) {
    // Health speaks for itself, also when it is bad; metrics and documents have no part that could be away.
    let plain = operation.get("tags").is_some_and(|tags| tags == &json!(["operation"]));
    let in_query = |parameter: &Value| parameter["in"] == "query";
    let has_query = operation.get("parameters").and_then(Value::as_array).is_some_and(|all| all.iter().any(in_query));
    let (has_body, secured) = (operation.contains_key("requestBody"), needs_somebody(operation));
    let by_rule: [(&str, &str, bool); 10] = [
        ("400", "The request is malformed", has_body || path.contains('{')),
        ("401", "Who asks is not known", secured),
        ("403", "Who asks may not do this", secured),
        ("404", "There is nothing here that the caller may see", path.contains('{')),
        ("408", "The body took too long to arrive", has_body),
        ("413", "The body is too large", has_body),
        ("415", "The body is of another type", has_body),
        ("422", "Some fields break rules; `errors` names each", has_body || has_query),
        ("500", "A fault of the server; `request_id` finds its cause in the log", !plain),
        ("503", "Something behind the server is away, or there is too much to do; `Retry-After` says when", !plain),
    ];
    let answers = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(answers) = answers.as_object_mut() else { return };
    for (status, description, applies) in by_rule {
        if applies && !answers.contains_key(status) {
            answers.insert(status.to_owned(), json!({ "description": description }));
        }
    }
    for (status, answer) in answers {
        let refusal = status.starts_with(['4', '5']);
        if answer["description"].as_str().unwrap_or_default().is_empty() {
            answer["description"] = meaning(status).into();
        }
        if refusal && answer.get("content").is_none() {
            answer["content"] = json!({
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } }
            });
        }
    }
}

/// Whether no way to ask is that of anybody.
fn needs_somebody(operation: &Map<String, Value>) -> bool {
    let ways = operation.get("security").and_then(Value::as_array);
    ways.is_some_and(|ways| ways.iter().all(|way| way.as_object().is_some_and(|schemes| !schemes.is_empty())))
}

fn meaning(status: &str) -> &'static str {
    match status {
        "201" => "It is there now",
        "202" => "It is accepted",
        "204" => "It is done",
        _ => "The answer",
    }
}

fn schemes() -> Value {
    json!({
        "certificate": {
            "type": "mutualTLS",
            "description": "A client certificate of this installation's CA. The names beside it are the roles that may ask.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of `POST /portal/auth/login`. What its user may do is asked on every request.",
        },
        "portal_session": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Session` and the token of a portal's session; good only with a certificate of role portal.",
        },
    })
}

//! The document as one page of HTML: no script, nothing from elsewhere, everything escaped.

use std::fmt::Write as _;

use mb_api::paths;
use serde_json::Value;

use super::answers::METHODS;
use super::sample::{kind, resolve, sample};

/// An operation with its place.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    what: &'a Value,
}

/// Renders the page.
pub(super) fn render(document: &Value) -> String {
    let operations = operations(document);
    let tags = document["tags"].as_array().cloned().unwrap_or_default();
    let mut out = String::with_capacity(256 * 1024);
    let title = format!("{} {}", text(&document["info"]["title"]), text(&document["info"]["version"]));
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}: API</title>\
         <link rel=\"stylesheet\" href=\"{}\"></head>\n<body><header><h1>{title}</h1><p>{}</p>\
         <p>The same as a document: <a href=\"{}\">{}</a></p></header>",
        paths::DOCS_STYLE,
        text(&document["info"]["description"]),
        paths::OPENAPI,
        paths::OPENAPI,
    );
    contents(&tags, &mut out);
    out.push_str("<main>\n");
    for tag in &tags {
        let name = text(&tag["name"]);
        let _ = writeln!(out, "<section><h2 id=\"tag-{name}\">{name}</h2><p>{}</p>", text(&tag["description"]));
        for operation in operations.iter().filter(|operation| operation.what["tags"][0] == tag["name"]) {
            operation.render(document, &mut out);
        }
        out.push_str("</section>\n");
    }
    schemas(document, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let items = document["paths"].as_object().into_iter().flatten();
    items
        .flat_map(|(path, item)| {
            METHODS
                .iter()
                .filter_map(move |method| item.get(method).map(|what| Operation { path: path.as_str(), method, what }))
        })
        .collect()
}

fn contents(tags: &[Value], out: &mut String) {
    out.push_str("<nav aria-label=\"Contents\"><ul>");
    for tag in tags {
        let name = text(&tag["name"]);
        let _ = write!(out, "<li><a href=\"#tag-{name}\">{name}</a></li>");
    }
    out.push_str("<li><a href=\"#schemas\">schemas</a></li></ul></nav>\n");
}

impl Operation<'_> {
    fn render(&self, document: &Value, out: &mut String) {
        let id = text(&self.what["operationId"]);
        let _ = writeln!(
            out,
            "<article><h3 id=\"{id}\"><span class=\"method\">{}</span> <code>{}</code></h3>\
             <p><strong>{}</strong>. {}</p>",
            self.method,
            escape(self.path),
            text(&self.what["summary"]),
            text(&self.what["description"]),
        );
        self.who(out);
        self.parameters(document, out);
        if let Some(content) = self.what.pointer("/requestBody/content") {
            out.push_str("<h4>Body</h4>");
            bodies(document, content, out);
        }
        self.answers(document, out);
        out.push_str("</article>\n");
    }

    fn who(&self, out: &mut String) {
        let Some(ways) = self.what["security"].as_array() else {
            out.push_str("<p class=\"note\">Anyone may ask.</p>");
            return;
        };
        let ways = ways.iter().filter_map(Value::as_object).flatten().map(|(scheme, roles)| {
            let roles = roles.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
            if roles.is_empty() { escape(scheme) } else { format!("{} ({roles})", escape(scheme)) }
        });
        let _ = write!(out, "<p class=\"note\">Who: {}</p>", ways.collect::<Vec<_>>().join(" or "));
    }

    fn parameters(&self, document: &Value, out: &mut String) {
        let Some(parameters) = self.what["parameters"].as_array().filter(|all| !all.is_empty()) else { return };
        out.push_str(
            "<h4>Parameters</h4><table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">In</th>\
             <th scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr></thead><tbody>",
        );
        for parameter in parameters {
            let _ = write!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
                text(&parameter["name"]),
                text(&parameter["in"]),
                shape(document, &parameter["schema"]),
                text(&parameter["description"]),
            );
        }
        out.push_str("</tbody></table>\n");
    }

    fn answers(&self, document: &Value, out: &mut String) {
        out.push_str("<h4>Answers</h4><dl>");
        let answers = self.what["responses"].as_object().into_iter().flatten();
        for (status, answer) in answers {
            let _ = write!(out, "<dt><code>{}</code></dt><dd>{}", escape(status), text(&answer["description"]));
            // Every refusal has the same body, which the schemas show once.
            if let Some(content) = answer.get("content").filter(|_| status.starts_with('2')) {
                bodies(document, content, out);
            }
            out.push_str("</dd>");
        }
        out.push_str("</dl>\n");
    }
}

fn bodies(document: &Value, content: &Value, out: &mut String) {
    for (media_type, body) in content.as_object().into_iter().flatten() {
        let _ = write!(out, "<p><code>{}</code>: {}</p>", escape(media_type), shape(document, &body["schema"]));
        let example = body.get("example").cloned().unwrap_or_else(|| sample(document, &body["schema"]));
        if example.is_object() || example.is_array() {
            let example = serde_json::to_string_pretty(&example).unwrap_or_default();
            let _ = writeln!(out, "<pre><code>{}</code></pre>", escape(&example));
        } else if let Some(example) = example.as_str().filter(|_| body.get("example").is_some()) {
            let _ = writeln!(out, "<pre><code>{}</code></pre>", escape(example));
        }
    }
}

fn schemas(document: &Value, out: &mut String) {
    out.push_str("<section><h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let name = escape(name);
        let _ = write!(
            out,
            "<article><h3 id=\"schema-{name}\"><code>{name}</code></h3><p>{} <span class=\"note\">{}</span></p>",
            text(&schema["description"]),
            shape(document, schema),
        );
        let members = schema["properties"].as_object().or_else(|| schema.pointer("/allOf/1/properties")?.as_object());
        if let Some(members) = members {
            out.push_str("<table><tbody>");
            for (member, value) in members {
                let _ = write!(
                    out,
                    "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>",
                    escape(member),
                    shape(document, value),
                    text(&value["description"]),
                );
            }
            out.push_str("</tbody></table>");
        }
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
}

/// A schema in a few words, as HTML.
fn shape(document: &Value, schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().map(|choice| shape(document, choice)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().map(|part| shape(document, part)).collect::<Vec<_>>().join(" with ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().map(|word| format!("<code>{}</code>", text(word)));
        return words.collect::<Vec<_>>().join(", ");
    }
    if kind(schema) == "array" {
        return format!("list of {}", shape(document, &schema["items"]));
    }
    let mut shown = escape(kind(resolve(document, schema)));
    for member in ["format", "pattern", "minimum", "maximum", "maxLength"] {
        match &schema[member] {
            Value::Null => {}
            Value::String(value) => drop(write!(shown, ", {member} <code>{}</code>", escape(value))),
            value => drop(write!(shown, ", {member} {value}")),
        }
    }
    shown
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

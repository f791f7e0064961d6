//! What an answer says, read with as little work as possible: the ids of what was accepted, and the codes of what not.

use std::collections::BTreeMap;

use mb_core::MessageId;

const NEEDLE: &[u8] = b"\"message_id\":\"";
const ID_LEN: usize = 36;

/// Errors by code.
pub(crate) type Errors = BTreeMap<String, u64>;

/// The ids in an answer's JSON, in order.
pub(crate) fn message_ids(body: &[u8]) -> impl Iterator<Item = MessageId> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let at = find(rest)?;
            let (text, after) = rest.get(at + NEEDLE.len()..)?.split_at_checked(ID_LEN)?;
            rest = after;
            if let Some(id) = std::str::from_utf8(text).ok().and_then(MessageId::parse) {
                return Some(id);
            }
        }
    })
}

/// Where the needle begins; every `"` is a candidate, so a strange order of fields costs time, never an id.
fn find(haystack: &[u8]) -> Option<usize> {
    haystack.windows(NEEDLE.len()).position(|window| window[0] == b'"' && window == NEEDLE)
}

/// The code of a problem document (RFC 9457 with `code`), or `http_<status>` if it has none.
pub(crate) fn problem_code(status: u16, body: &[u8]) -> String {
    problem(body).and_then(|problem| problem.code).unwrap_or_else(|| format!("http_{status}"))
}

/// The detail of a problem document, for people.
pub(crate) fn problem_detail(status: u16, body: &[u8]) -> String {
    let Some(problem) = problem(body) else { return format!("answered {status} without a problem document") };
    let code = problem.code.unwrap_or_else(|| format!("http_{status}"));
    let detail = problem.detail.or(problem.title).unwrap_or_default();
    let fields = problem.errors.iter().filter_map(|error| {
        let detail = error.detail.as_deref()?;
        Some(format!("\n  {} {detail}", error.pointer.as_deref().unwrap_or("")))
    });
    format!("{status} {code}: {detail}{}", fields.collect::<String>())
}

/// Counts the codes of the entries of a batch's answer that were not accepted, and returns the ids of those that were.
/// The slow way, for answers in which something was refused.
pub(crate) fn batch_entries(body: &[u8], errors: &mut Errors) -> Vec<MessageId> {
    #[derive(serde::Deserialize)]
    struct Entry {
        message_id: Option<MessageId>,
        code: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Answer {
        results: Vec<Entry>,
    }
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        *errors.entry("bad_answer".to_owned()).or_default() += 1;
        return Vec::new();
    };
    let mut ids = Vec::with_capacity(answer.results.len());
    for entry in answer.results {
        match (entry.message_id, entry.code) {
            (Some(id), None) => ids.push(id),
            (_, code) => *errors.entry(code.unwrap_or_else(|| "bad_answer".to_owned())).or_default() += 1,
        }
    }
    ids
}

#[derive(serde::Deserialize)]
struct Problem {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<ProblemField>,
}

#[derive(serde::Deserialize)]
struct ProblemField {
    pointer: Option<String>,
    detail: Option<String>,
}

fn problem(body: &[u8]) -> Option<Problem> {
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const B: &str = "abababab-abab-8bab-abab-abababababab";

    fn ids(body: &str) -> Vec<String> {
        message_ids(body.as_bytes()).map(|id| id.to_string()).collect()
    }

    #[test]
    fn ids_are_found_wherever_they_stand() {
        assert_eq!(ids(&format!(r#"{{"message_id":"{A}","status":"queued","position":null}}"#)), [A]);
        assert_eq!(ids(&format!(r#"{{"status":"queued","message_id":"{A}"}}"#)), [A]);
        let batch = format!(r#"{{"results":[{{"message_id":"{A}","status":"queued"}},{{"message_id":"{B}"}}]}}"#);
        assert_eq!(ids(&batch), [A, B]);
    }

    #[test]
    fn what_is_no_id_is_passed_over() {
        for body in ["", "{}", r#"{"message_id":"short"}"#, r#"{"message_id":""#, r#"{"message_id":null}"#] {
            assert_eq!(ids(body), Vec::<String>::new(), "{body}");
        }
        let body = format!(r#"[{{"message_id":"zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"}},{{"message_id":"{A}"}}]"#);
        assert_eq!(ids(&body), [A]);
    }

    #[test]
    fn refused_entries_of_a_batch_are_counted_by_code() {
        let body = format!(
            r#"{{"results":[{{"message_id":"{A}","status":"queued","queued_at":"x"}},
            {{"type":"t","status":422,"code":"validation_failed"}},{{"code":"validation_failed"}},{{}}]}}"#
        );
        let mut errors = Errors::new();
        assert_eq!(batch_entries(body.as_bytes(), &mut errors).len(), 1);
        assert_eq!(errors["validation_failed"], 2);
        assert_eq!(errors["bad_answer"], 1);
    }

    #[test]
    fn a_problem_names_its_code_or_else_its_status() {
        let body = br#"{"type":"t","title":"T","status":503,"code":"journal_full","detail":"full","request_id":"r"}"#;
        assert_eq!(problem_code(503, body), "journal_full");
        assert_eq!(problem_detail(503, body), "503 journal_full: full");
        assert_eq!(problem_code(502, b"<html>"), "http_502");
        let body = br#"{"code":"validation_failed","errors":[{"pointer":"/topic","code":"c","detail":"bad"}]}"#;
        assert_eq!(problem_detail(422, body), "422 validation_failed: \n  /topic bad");
    }
}

//! Many messages at once.

use std::time::Duration;

use crate::harness::message;
use crate::http::Connection;

/// Messages of one request.
const BATCH: usize = 1000;

/// Submits so many messages, all of which must be accepted; their ids.
pub(crate) fn submit_many(connection: &mut Connection, text: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        let size = BATCH.min(count - ids.len());
        let accepted = submit_batch(connection, &format!("{text} {}", ids.len()), size).expect("accepted");
        assert_eq!(accepted.len(), size, "all of a batch");
        ids.extend(accepted);
    }
    ids
}

/// The ids that were answered with 202; `None` if the connection is of no more use.
pub(crate) fn submit_one(connection: &mut Connection, text: &str) -> Option<Vec<String>> {
    let response = connection.post("/api/v1/messages", &message(text)).ok()?;
    let id = (response.status == 202).then(|| response.json()["message_id"].as_str().map(str::to_owned))?;
    Some(id.into_iter().collect())
}

/// The same for many in one request.
pub(crate) fn submit_batch(connection: &mut Connection, text: &str, size: usize) -> Option<Vec<String>> {
    let lines: Vec<_> = (0..size).map(|n| message(&format!("{text}-{n}"))).collect();
    let headers = [("content-type", "application/x-ndjson")];
    let response = connection.post_with("/api/v1/messages/batch", &headers, lines.join("\n").as_bytes()).ok()?;
    let results = (response.status == 202).then(|| response.json()["results"].as_array().cloned())??;
    Some(results.iter().filter_map(|result| result["message_id"].as_str().map(str::to_owned)).collect())
}

/// A number that a test may be given from outside.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests alone")]
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How long so many messages may take to be stored on a busy machine, beyond what is waited for otherwise.
pub(crate) fn patience(count: usize) -> Duration {
    Duration::from_mins(2) + Duration::from_millis(5) * u32::try_from(count).expect("fits")
}

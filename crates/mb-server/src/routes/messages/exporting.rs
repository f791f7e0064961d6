//! All messages that match, as a file that is made while it is read: however many there are, a page of them is in memory.
//!
//! Nothing is opened for it: numbers are masked as in lists. It is recorded before the first line leaves.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use mb_api::dto::{ExportFormat, MessageQuery, MessageRow};
use mb_api::page::Page;
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::{Query, paths};
use serde_json::json;

use super::page;
use crate::app::App;
use crate::caller::{Caller, View};
use crate::routes::store_fault;

/// Rows that are read at once.
const ROWS: u32 = 250;
const COLUMNS: &str =
    "message_id,client_id,domain,topic,sender_number_masked,status,attempt_count,queued_at,delivered_at,last_error\r\n";

#[utoipa::path(
    get, path = paths::MESSAGES_EXPORT, tag = "messages", operation_id = "export_messages",
    summary = "Export messages",
    description = "All that match, newest first, as CSV or as a JSON object in each line, whichever `Accept` asks for; \
                   `limit` and `cursor` mean nothing here. Recorded in the audit log. A file that breaks off was not \
                   finished.",
    params(MessageQuery),
    responses(
        (status = 200, description = "The file", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 400, description = "It has no pages: `limit` or `cursor` was given"),
    ),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<MessageQuery>,
) -> Result<Response, ApiError> {
    let actor = caller.admin()?.as_str().to_owned();
    if query.cursor.is_some() || query.limit.is_some() {
        return Err(ApiError::new(ProblemCode::MalformedRequest, "an export has no pages: leave limit and cursor out"));
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = if accept.contains(ExportFormat::Csv.media_type()) { ExportFormat::Csv } else { ExportFormat::Ndjson };
    // Whose number was looked for stands nowhere.
    let about = json!({
        "format": format.as_str(), "status": query.status, "from": query.from, "to": query.to, "topic": query.topic,
        "client": query.client_id, "domain": query.domain, "id": query.q.as_ref().map(ToString::to_string),
        "by_sender": query.sender.is_some(),
    });
    let query = MessageQuery { limit: Some(ROWS), ..query };
    // What is no query is refused as in a list, and not in the middle of a file.
    let first = page(&app, &query, View::All).await?;
    app.store.audit(&actor, "messages.export", "messages", about).await.map_err(store_fault)?;
    let export = Export { app, caller, query, format, state: Progress::Begins(first) };
    let lines = stream::try_unfold(export, |export| async move { export.step().await });
    let name = format!("attachment; filename=\"messages.{}\"", format.as_str());
    let headers = [
        (CONTENT_TYPE, format.media_type().to_owned()),
        (CONTENT_DISPOSITION, name),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// A file that is being made.
struct Export {
    app: Arc<App>,
    caller: Caller,
    query: MessageQuery,
    format: ExportFormat,
    state: Progress,
}

/// How far it is.
enum Progress {
    /// With its first page.
    Begins(Page<MessageRow>),
    Goes,
    Ended,
}

impl Export {
    /// The next page's lines. An error breaks the file off, so that nobody takes a part for the whole.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, std::io::Error> {
        let mut text = String::new();
        let page = match self.state {
            Progress::Ended => return Ok(None),
            Progress::Begins(first) => {
                text.push_str(if self.format == ExportFormat::Csv { COLUMNS } else { "" });
                first
            }
            Progress::Goes => {
                // Whoever is taken out as the file is read gets no more of it.
                let stopped = self.app.stopping.is_cancelled() || self.caller.again(&self.app).await.is_err();
                let page = page(&self.app, &self.query, View::All).await;
                page.ok().filter(|_| !stopped).ok_or_else(|| std::io::Error::other("the export broke off"))?
            }
        };
        for row in &page.data {
            match self.format {
                ExportFormat::Csv => line(&mut text, row),
                ExportFormat::Ndjson => {
                    text.push_str(&serde_json::to_string(row).map_err(std::io::Error::other)?);
                    text.push('\n');
                }
            }
        }
        self.state = if page.next.is_some() { Progress::Goes } else { Progress::Ended };
        self.query.cursor = page.next;
        Ok(Some((Bytes::from(text), self)))
    }
}

/// A row as a line of CSV (RFC 4180).
fn line(text: &mut String, row: &MessageRow) {
    let delivered_at = row.delivered_at.map(|at| at.to_string()).unwrap_or_default();
    let cells = [
        row.message_id.to_string(),
        row.client_id.to_string(),
        row.domain.to_string(),
        row.topic.to_string(),
        row.sender_number_masked.clone().unwrap_or_default(),
        row.status.to_string(),
        row.attempt_count.to_string(),
        row.queued_at.to_string(),
        delivered_at,
        row.last_error.clone().unwrap_or_default(),
    ];
    for (at, value) in cells.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{}", cell(value));
    }
    text.push_str("\r\n");
}

/// A value as a cell. What a spreadsheet would take for a formula is made text by an apostrophe (OWASP, "CSV injection").
fn cell(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    if value.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        for (value, shown) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("+491****0000", "'+491****0000"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
        ] {
            assert_eq!(cell(value), shown);
        }
    }
}

//! `application/x-ndjson`: one message per line, taken as they arrive.
//!
//! Lines are sealed and journalled in chunks while the rest is still on its way, so a request of any size holds little
//! memory. A request that breaks off has been accepted up to a point: the answer says up to which, as far as it still
//! arrives, and repeating the request with its Idempotency-Key is safe.

use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use mb_api::problem::{ApiError, ProblemCode};
use tokio::time::Instant;

use super::results::{MAX_ANSWER, Results};

/// The most lines of a request.
const MAX_LINES: usize = 10_000;
/// The most bytes of a request.
const MAX_BODY: usize = 16 << 20;
/// The most bytes of a line.
const MAX_LINE: usize = 512 << 10;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a request may take in total.
const TOTAL: Duration = Duration::from_mins(5);

/// Reads the whole body; past a limit, or where it breaks off, reading stops and the last answer says so.
///
/// # Errors
/// Nothing was accepted, and the journal takes nothing or the body did not arrive whole.
pub(crate) async fn read(mut body: Body, results: &mut Results<'_>) -> Result<(), ApiError> {
    let deadline = Instant::now() + TOTAL;
    let mut lines = Lines::default();
    let mut left = MAX_BODY;
    loop {
        let data = match next(&mut body, deadline).await {
            Ok(Some(data)) => data,
            Ok(None) => break,
            Err(error) => return break_off(results, error).await,
        };
        let within = data.len().min(left);
        let over = match lines.take_complete(&data[..within], results).await {
            Ok(taken) => !taken,
            Err(error) => return break_off(results, error).await,
        };
        if over || within < data.len() {
            return stop(results).await;
        }
        left -= within;
    }
    if !lines.take_last(results) {
        return stop(results).await;
    }
    results.flush().await?;
    if results.seen() == 0 {
        let field = mb_core::FieldError::new("", "empty", "the body must have at least one line");
        return Err(ApiError::invalid(vec![field]));
    }
    Ok(())
}

/// The next bytes, `None` at the end.
async fn next(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, ApiError> {
    loop {
        let silent_at = Instant::now() + SILENCE;
        match tokio::time::timeout_at(silent_at.min(deadline), body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                // Trailers mean nothing here.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Ok(Some(Err(error))) => return Err(mb_runtime::body::broke_off(error)),
            Err(_) => {
                let detail =
                    if silent_at < deadline { "no data for 30 seconds" } else { "the body took over 5 minutes" };
                return Err(ApiError::new(ProblemCode::RequestTimeout, detail));
            }
        }
    }
}

/// What has arrived and is not yet a line.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer known to hold no line end.
    searched: usize,
    /// The line that is arriving was refused already.
    skipping: bool,
}

impl Lines {
    /// Takes the lines that `data` completes; `false` if there are too many.
    ///
    /// # Errors
    /// As [`Results::flush`] and [`Results::cover`].
    async fn take_complete(&mut self, data: &[u8], results: &mut Results<'_>) -> Result<bool, ApiError> {
        results.cover(self.buffer.len() + data.len())?;
        self.buffer.extend_from_slice(data);
        while let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end);
            self.buffer.advance(1);
            self.searched = 0;
            if !std::mem::take(&mut self.skipping) && !take(results, &line) {
                return Ok(false);
            }
            if results.is_due() {
                results.flush().await?;
            }
            results.cover(self.buffer.len())?;
        }
        self.searched = self.buffer.len();
        if self.searched > MAX_LINE {
            if !std::mem::replace(&mut self.skipping, true) && !take(results, &self.buffer) {
                return Ok(false);
            }
            self.buffer.clear();
            self.searched = 0;
        }
        Ok(true)
    }

    /// Takes the line that no line end follows; `false` if there are too many.
    fn take_last(&self, results: &mut Results<'_>) -> bool {
        self.skipping || take(results, &self.buffer)
    }
}

/// Takes a line, or its beginning if it is too long; `false` if there are too many.
fn take(results: &mut Results<'_>, line: &[u8]) -> bool {
    if line.len() > MAX_LINE {
        if is_full(results) {
            return false;
        }
        results.refuse(mb_runtime::body::too_large(MAX_LINE));
    } else if !line.iter().all(u8::is_ascii_whitespace) {
        if is_full(results) {
            return false;
        }
        results.add(line);
    }
    true
}

fn is_full(results: &Results<'_>) -> bool {
    results.seen() >= MAX_LINES || results.is_full()
}

async fn stop(results: &mut Results<'_>) -> Result<(), ApiError> {
    let detail = format!(
        "at most {MAX_LINES} lines, {MAX_BODY} bytes, or {MAX_ANSWER} bytes of answer per request; the rest was not read"
    );
    results.refuse(ApiError::new(ProblemCode::TooManyItems, detail));
    results.flush().await
}

/// What was accepted must be told; if nothing was, the request as a whole failed. Of somebody who was shut out meanwhile
/// nothing more is accepted.
async fn break_off(results: &mut Results<'_>, error: ApiError) -> Result<(), ApiError> {
    if matches!(error.code(), ProblemCode::CertificateRevoked | ProblemCode::ClientSuspended) {
        results.abandon();
    }
    results.flush().await?;
    if results.accepted() == 0 {
        return Err(error);
    }
    results.refuse(error);
    results.flush().await
}

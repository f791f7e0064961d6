//! From a request's JSON to a message that obeys every rule (contract, section 3).
//!
//! Parsing is the only way to a [`Submission`]: what holds one needs no further checks. The JSON is read in one pass
//! without building a tree; values are looked at only where a rule asks.

mod json;

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::field::FieldError;
use crate::name::Topic;

pub use json::{check_depth, malformed};

/// The deepest nesting of a JSON body.
pub const MAX_DEPTH: usize = 32;

/// The most bytes of a metadata object as received.
pub const MAX_METADATA: usize = 4096;

/// The farthest `deliver_at`, and the longest `expires_in`: 30 days.
pub const MAX_AHEAD: Duration = Duration::from_hours(720);

/// What a tenant's messages may look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct BodyRules {
    /// The most Unicode scalar values in a body; 1 to 65,536.
    pub max_scalars: u32,
    /// Whether a message must name its sender's number.
    pub sender_required: bool,
}

impl Default for BodyRules {
    fn default() -> Self {
        Self { max_scalars: 1000, sender_required: true }
    }
}

/// A parser's words as they may be told: without what they quote of the text that was parsed, which may be secret and of
/// any size.
pub fn public_text(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    told(&text).unwrap_or(text).chars().take(200).collect()
}

/// `serde` quotes in these of its messages; what it expects instead, and where, comes behind. Only the kind of what it
/// found is kept.
fn told(text: &str) -> Option<String> {
    const QUOTING: [&str; 4] = ["invalid type: ", "invalid value: ", "unknown field ", "unknown variant "];
    let head = QUOTING.into_iter().find(|head| text.starts_with(head))?;
    let kind: String = text[head.len()..].chars().take_while(|c| c.is_ascii_lowercase() || *c == ' ').collect();
    // What is expected is ours and has no such words in it, so the last ones are not the sender's.
    let rest = text.rfind(", expected ").or_else(|| text.rfind(", there are no ")).map_or("", |at| &text[at..]);
    Some(format!("{}{rest}", format!("{head}{kind}").trim_end()))
}

/// A message that obeys every rule, not yet an id or a seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// E.164 number.
    pub sender_number: Option<String>,
    /// The text as sent.
    pub body: String,
    /// The topic, `default` if none was given.
    pub topic: Topic,
    /// The metadata object's JSON text as received.
    pub metadata: Option<String>,
    /// Not before; `None` also for a time that has passed.
    pub deliver_at: Option<Timestamp>,
    /// What was asked for as `deliver_at`, also if it has passed: what tells a repeat from another request.
    pub deliver_at_requested: Option<Timestamp>,
    /// Not after.
    pub expires_at: Option<Timestamp>,
}

/// Why a body is not a submission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// Not JSON that every reader takes alike (400).
    Malformed(String),
    /// JSON that breaks rules (422); every broken rule is listed.
    Invalid(Vec<FieldError>),
}

impl Submission {
    /// Reads one message object. `now` is its `queued_at`.
    ///
    /// # Errors
    /// [`Rejection`] with every rule that the message breaks.
    pub fn from_json(bytes: &[u8], rules: BodyRules, now: Timestamp) -> Result<Self, Rejection> {
        let fields = json::Fields::parse(bytes)?;
        let mut errors = fields.faults();
        let sender_number = check(&mut errors, sender(&fields, rules)).flatten();
        let body = check(&mut errors, body(&fields, rules));
        let topic = check(&mut errors, topic(&fields));
        let metadata = check(&mut errors, metadata(&fields)).flatten();
        let times = check(&mut errors, times(&fields, now));
        match (body, topic, times) {
            (Some(body), Some(topic), Some((deliver_at_requested, expires_at))) if errors.is_empty() => {
                let deliver_at = deliver_at_requested.filter(|at| *at > now);
                Ok(Self { sender_number, body, topic, metadata, deliver_at, deliver_at_requested, expires_at })
            }
            _ => Err(Rejection::Invalid(errors)),
        }
    }
}

fn check<T>(errors: &mut Vec<FieldError>, result: Result<T, FieldError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn sender(fields: &json::Fields<'_>, rules: BodyRules) -> Result<Option<String>, FieldError> {
    let Some(number) = fields.string("sender_number")? else {
        return if rules.sender_required {
            Err(FieldError::new("/sender_number", "required", "sender_number is required, e.g. \"+4915112345678\""))
        } else {
            Ok(None)
        };
    };
    if is_e164(&number) {
        Ok(Some(number.into_owned()))
    } else {
        Err(FieldError::new(
            "/sender_number",
            "invalid_number",
            "sender_number must be E.164: '+', then 2 to 15 ASCII digits of which the first is not 0",
        ))
    }
}

/// ITU-T E.164 with a leading plus: `^\+[1-9][0-9]{1,14}$`, and nothing after it.
pub fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+').map(str::as_bytes) else { return false };
    (2..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit)
}

fn body(fields: &json::Fields<'_>, rules: BodyRules) -> Result<String, FieldError> {
    let Some(body) = fields.string("message_body")? else {
        return Err(FieldError::new("/message_body", "required", "message_body is required"));
    };
    if body.trim().is_empty() {
        return Err(FieldError::new("/message_body", "blank", "message_body must not be blank"));
    }
    let scalars = body.chars().count();
    if scalars > rules.max_scalars as usize {
        let detail = format!("message_body has {scalars} characters, at most {} are allowed", rules.max_scalars);
        return Err(FieldError::new("/message_body", "too_long", detail));
    }
    Ok(body.into_owned())
}

fn topic(fields: &json::Fields<'_>) -> Result<Topic, FieldError> {
    let Some(topic) = fields.string("topic")? else { return Ok(Topic::default()) };
    Topic::parse(&topic).ok_or_else(|| {
        let detail =
            "topic must be 1 to 128 characters of a-z, 0-9, '.', '_', '-', beginning and ending with a letter or digit";
        FieldError::new("/topic", "invalid_topic", detail)
    })
}

fn metadata(fields: &json::Fields<'_>) -> Result<Option<String>, FieldError> {
    let Some(raw) = fields.raw("metadata") else { return Ok(None) };
    if !raw.starts_with('{') {
        return Err(FieldError::new("/metadata", "wrong_type", "metadata must be a JSON object"));
    }
    if raw.len() > MAX_METADATA {
        let detail = format!("metadata has {} bytes, at most {MAX_METADATA} are allowed", raw.len());
        return Err(FieldError::new("/metadata", "too_long", detail));
    }
    Ok(Some(raw.to_owned()))
}

/// The requested `deliver_at`, and when the message expires.
type Times = (Option<Timestamp>, Option<Timestamp>);

fn times(fields: &json::Fields<'_>, now: Timestamp) -> Result<Times, FieldError> {
    let deliver_at = match fields.string("deliver_at")? {
        None => None,
        Some(text) => {
            let at = Timestamp::parse_rfc3339(&text).ok_or_else(|| {
                let detail = "deliver_at must be an RFC 3339 time, e.g. \"2026-11-23T10:00:00Z\"";
                FieldError::new("/deliver_at", "invalid_time", detail)
            })?;
            if at > now.plus(MAX_AHEAD) {
                return Err(FieldError::new("/deliver_at", "too_late", "deliver_at is more than 30 days ahead"));
            }
            Some(at)
        }
    };
    let expires_at = match fields.integer("expires_in")? {
        None => None,
        Some(seconds) if !(1..=2_592_000).contains(&seconds) => {
            return Err(FieldError::new("/expires_in", "out_of_range", "expires_in must be 1 to 2592000 seconds"));
        }
        Some(seconds) => Some(now.plus(Duration::from_secs(seconds.unsigned_abs()))),
    };
    match (deliver_at, expires_at) {
        // What expires has at least a second: a time that has passed is always before.
        (Some(deliver), Some(expires)) if expires <= deliver => {
            Err(FieldError::new("/expires_in", "before_deliver_at", "the message would expire before deliver_at"))
        }
        times => Ok(times),
    }
}

#[cfg(test)]
mod tests;

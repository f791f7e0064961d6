//! Requests composed in place: one buffer per stream of requests, of which only the numbers and serials change.
//!
//! The load generator shares the machine with what it measures, so a request costs it a few copied digits: no
//! serialiser, no allocation. All fields have a fixed width, so that the length never changes.

/// How the messages of a request are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One message object on the single route.
    Single,
    /// `{"messages":[...]}` on the batch route.
    Json,
    /// A line per message on the batch route.
    Ndjson,
}

impl Form {
    /// The route.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Single => "/api/v1/messages",
            Self::Json | Self::Ndjson => "/api/v1/messages/batch",
        }
    }

    /// The media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Single | Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    const fn affixes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Single => ("", "", ""),
            Self::Json => ("{\"messages\":[", ",", "]}"),
            Self::Ndjson => ("", "\n", "\n"),
        }
    }
}

/// What every request of a run looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    /// Messages per request.
    pub(crate) items: usize,
    /// Bytes of each message's text.
    pub(crate) body_bytes: usize,
    /// The messages are about this many topics in turn, see [`topic`]; 0: about none.
    pub(crate) topics: u32,
}

/// The topic that every so many-th message is about.
pub(crate) fn topic(number: u32) -> String {
    format!("{TOPIC_PREFIX}{number:0TOPIC_DIGITS$}")
}

/// Each client's messages come from this many numbers.
const NUMBERS: u64 = 100;
const NUMBER: &str = "{\"sender_number\":\"+4915";
const CLIENT_DIGITS: usize = 5;
const NUMBER_DIGITS: usize = 2;
const TEXT: &str = "\",\"message_body\":\"";
const SERIAL_DIGITS: usize = 12;
const END: &str = "\"}";
const TOPIC: &str = "\",\"topic\":\"";
const TOPIC_PREFIX: &str = "bench.";
const TOPIC_DIGITS: usize = 5;
const FILLER: &[u8] = b" the quick brown fox jumps over the lazy dog and files its report in time;";

/// One request, ready to be sent after [`Payload::compose`].
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    head: usize,
    first: usize,
    stride: usize,
    items: usize,
    serial_digits: usize,
    topics: u64,
    /// Where the number of the topic begins in a message.
    topic_at: usize,
}

impl Payload {
    /// Where the serial number of a message begins.
    const SERIAL_AT: usize = NUMBER.len() + CLIENT_DIGITS + NUMBER_DIGITS + TEXT.len();

    /// A request of `client` (a number below 100,000) to `authority`; with the head of HTTP/1.1 before the body.
    pub(crate) fn new(shape: Shape, authority: &str, client: usize) -> Self {
        let serial_digits = shape.body_bytes.min(SERIAL_DIGITS);
        let mut item = format!("{NUMBER}{:05}00{TEXT}{}", client % 100_000, "0".repeat(serial_digits)).into_bytes();
        item.extend(FILLER.iter().cycle().take(shape.body_bytes - serial_digits));
        if shape.topics > 0 {
            item.extend_from_slice(format!("{TOPIC}{}", topic(0)).as_bytes());
        }
        item.extend_from_slice(END.as_bytes());
        let (prefix, separator, suffix) = shape.form.affixes();
        let stride = item.len() + separator.len();
        let length = prefix.len() + stride * shape.items - separator.len() + suffix.len();
        let mut bytes = format!(
            "POST {} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: {}\r\ncontent-length: {length}\r\n\r\n",
            shape.form.path(),
            shape.form.content_type()
        )
        .into_bytes();
        let head = bytes.len();
        bytes.extend_from_slice(prefix.as_bytes());
        for index in 0..shape.items {
            if index > 0 {
                bytes.extend_from_slice(separator.as_bytes());
            }
            bytes.extend_from_slice(&item);
        }
        bytes.extend_from_slice(suffix.as_bytes());
        let topic_at = Self::SERIAL_AT + shape.body_bytes + TOPIC.len() + TOPIC_PREFIX.len();
        let (first, items, topics) = (head + prefix.len(), shape.items, shape.topics.into());
        Self { bytes, head, first, stride, items, serial_digits, topics, topic_at }
    }

    /// Makes it the request whose first message has this serial number; the others count up from it.
    pub(crate) fn compose(&mut self, serial: u64) {
        let number_at = NUMBER.len() + CLIENT_DIGITS;
        let serial_at = Self::SERIAL_AT;
        let mut start = self.first;
        for serial in serial..serial.saturating_add(self.items as u64) {
            digits(&mut self.bytes[start + number_at..][..NUMBER_DIGITS], serial % NUMBERS);
            digits(&mut self.bytes[start + serial_at..][..self.serial_digits], serial);
            if let Some(number) = serial.checked_rem(self.topics) {
                digits(&mut self.bytes[start + self.topic_at..][..TOPIC_DIGITS], number);
            }
            start += self.stride;
        }
    }

    /// Head and body for HTTP/1.1.
    pub(crate) fn request(&self) -> &[u8] {
        &self.bytes
    }

    /// The body alone.
    pub(crate) fn body(&self) -> &[u8] {
        &self.bytes[self.head..]
    }
}

/// Writes the last digits of `value`, right-aligned with leading zeros.
fn digits(into: &mut [u8], mut value: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use mb_core::submission::BodyRules;
    use mb_core::{Submission, Timestamp};
    use serde_json::value::RawValue;

    use super::*;

    fn accepted(json: &[u8]) -> Submission {
        Submission::from_json(json, BodyRules::default(), Timestamp::default()).unwrap()
    }

    fn composed(form: Form, items: usize, body_bytes: usize, serial: u64) -> Payload {
        let mut payload = Payload::new(Shape { form, items, body_bytes, topics: 0 }, "localhost:8001", 17);
        payload.compose(serial);
        payload
    }

    #[test]
    fn a_single_message_obeys_the_rules_at_every_length() {
        for body_bytes in [1, 11, 12, 13, 200, 1000] {
            let payload = composed(Form::Single, 1, body_bytes, 9_876_543_210);
            let message = accepted(payload.body());
            assert_eq!(message.body.len(), body_bytes);
            assert_eq!(message.sender_number.as_deref(), Some("+49150001710"));
        }
    }

    #[test]
    fn a_json_batch_holds_distinct_messages() {
        #[derive(serde::Deserialize)]
        struct Batch<'a> {
            #[serde(borrow)]
            messages: Vec<&'a RawValue>,
        }
        let payload = composed(Form::Json, 150, 200, 50);
        let batch: Batch<'_> = serde_json::from_slice(payload.body()).unwrap();
        let messages: Vec<Submission> = batch.messages.iter().map(|raw| accepted(raw.get().as_bytes())).collect();
        assert_eq!(messages.len(), 150);
        assert!(messages[0].body.starts_with("000000000050 "));
        assert!(messages[149].body.starts_with("000000000199 "));
        assert_eq!(messages[0].sender_number, messages[100].sender_number);
    }

    #[test]
    fn messages_are_about_each_topic_in_turn() {
        for body_bytes in [1, 200] {
            let mut payload = Payload::new(Shape { form: Form::Ndjson, items: 4, body_bytes, topics: 3 }, "h", 1);
            payload.compose(5);
            let text = std::str::from_utf8(payload.body()).unwrap();
            let topics = text.lines().map(|line| accepted(line.as_bytes()).topic.as_str().to_owned());
            assert_eq!(topics.collect::<Vec<_>>(), [2, 0, 1, 2].map(topic));
        }
    }

    #[test]
    fn ndjson_is_a_message_per_line() {
        let payload = composed(Form::Ndjson, 3, 40, 0);
        let text = std::str::from_utf8(payload.body()).unwrap();
        assert!(text.ends_with("}\n"));
        assert_eq!(text.lines().map(|line| accepted(line.as_bytes()).body.len()).collect::<Vec<_>>(), [40, 40, 40]);
    }

    #[test]
    fn the_head_announces_the_body() {
        let payload = composed(Form::Json, 2, 30, 1);
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        let head = request.parse(payload.request()).unwrap().unwrap();
        assert_eq!(request.path, Some("/api/v1/messages/batch"));
        let length = request.headers.iter().find(|header| header.name == "content-length").unwrap();
        assert_eq!(std::str::from_utf8(length.value).unwrap(), payload.body().len().to_string());
        assert_eq!(&payload.request()[head..], payload.body());
    }
}

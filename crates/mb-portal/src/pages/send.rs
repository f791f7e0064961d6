//! Sending a message as one's own client. It goes the way of all messages, through a proxy; the main server submits it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mb_api::dto::{Metadata, SecretText, SubmitMessage};
use mb_api::problem::ApiError;
use mb_core::Timestamp;

use crate::errors::Errors;
use crate::field::{Field, Input};
use crate::flash::Flash;
use crate::form::Form;
use crate::person::Person;
use crate::respond::{done, mend, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::zone::Zone;

/// The fields, as problems name them.
const FIELDS: [&str; 6] = ["sender_number", "message_body", "topic", "deliver_at", "expires_in", "metadata"];

#[derive(askama::Template)]
#[template(path = "send.html")]
struct SendPage {
    shell: Shell,
    client: String,
    above: Option<String>,
    fields: Vec<Field>,
    more: Vec<Field>,
    /// Whether something is wrong with a field that is folded away.
    unfold: bool,
    key: String,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Typed {
    sender_number: String,
    message_body: String,
    topic: String,
    deliver_at: String,
    expires_in: String,
    metadata: String,
    /// Names this form: sent twice it is one message.
    key: String,
}

pub(crate) async fn get(person: Person) -> Answer {
    allowed(&person)?;
    page(&form(&person, &Typed { key: fresh_key()?, ..Typed::default() }, &Errors::default()))
}

pub(crate) async fn post(person: Person, Form(typed): Form<Typed>) -> Answer {
    allowed(&person)?;
    let message = match typed.parse(&person.zone()) {
        Ok(message) => message,
        Err(errors) => return mend(&form(&person, &typed, &errors)),
    };
    match person.client.send_message(&message, &typed.key).await {
        Ok(sent) => Ok(done(&format!("/messages?q={}", sent.message_id), Flash::MessageSent)),
        // Another text under the same key would be a conflict: what is mended is another message.
        Err(error) => {
            let errors = Errors::from_refusal(error)?;
            mend(&form(&person, &Typed { key: fresh_key()?, ..typed }, &errors))
        }
    }
}

fn allowed(person: &Person) -> Result<(), Stop> {
    if person.may_send() { Ok(()) } else { Err(Stop::forbidden()) }
}

fn fresh_key() -> Result<String, ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Typed {
    /// The message; what else is wrong with it the proxy says.
    fn parse(&self, zone: &Zone) -> Result<SubmitMessage, Errors> {
        let mut errors = Errors::default();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let number: String = self.sender_number.chars().filter(|c| !c.is_whitespace()).collect();
        let deliver_at = given(&self.deliver_at)
            .and_then(|text| errors.need("deliver_at", zone.read(&text), "Enter a whole day and time, or nothing"));
        let expires_in = given(&self.expires_in).and_then(|text| {
            let hours: Option<u64> = text.parse().ok().filter(|hours| (1..=720).contains(hours));
            errors.need("expires_in", hours.map(|hours| hours * 3600), "Enter 1 to 720 hours, or nothing")
        });
        let metadata = given(&self.metadata).and_then(|text| {
            errors.need("metadata", serde_json::from_str(&text).ok().map(Metadata), "Enter a JSON object, or nothing")
        });
        // Browsers send line ends as two characters (HTML, section 4.10.21.8); a text has one.
        let body = self.message_body.replace("\r\n", "\n");
        if body.trim().is_empty() {
            errors.add("message_body", "Enter a text");
        }
        if self.key.is_empty() {
            errors = Errors::general("This form is too old; fill it in again.");
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(SubmitMessage {
            sender_number: given(&number).map(SecretText::new),
            message_body: SecretText::new(body),
            topic: given(&self.topic),
            metadata,
            deliver_at: deliver_at.map(|at: Timestamp| at),
            expires_in,
        })
    }
}

fn form(person: &Person, typed: &Typed, errors: &Errors) -> SendPage {
    let fields = vec![
        Field::new("sender_number", "Sender's number", Input::Line("tel"), &typed.sender_number, errors)
            .optional()
            .hint("With the country's code, +49 151 23456789."),
        Field::new("message_body", "Text", Input::Lines(6), &typed.message_body, errors),
    ];
    let more = vec![
        Field::line("topic", "Topic", &typed.topic, errors)
            .optional()
            .hint("Words with dots between them; empty: default."),
        Field::new("deliver_at", "Not before", Input::Line("datetime-local"), &typed.deliver_at, errors)
            .optional()
            .hint("At most 30 days ahead."),
        Field::new("expires_in", "Hours until it expires", Input::Line("number"), &typed.expires_in, errors)
            .optional()
            .hint("What is not delivered by then is not delivered at all."),
        Field::new("metadata", "Metadata", Input::Lines(3), &typed.metadata, errors)
            .optional()
            .hint("A JSON object, kept sealed with the message."),
    ];
    let client = person.profile().client_id.as_ref().map(ToString::to_string).unwrap_or_default();
    SendPage {
        shell: person.shell(Section::Send),
        client,
        above: errors.above(&FIELDS).map(str::to_owned),
        unfold: more.iter().any(|field| field.error.is_some() || !field.value.is_empty()),
        fields,
        more,
        key: typed.key.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_message_or_is_named() {
        let typed = Typed {
            sender_number: "+49 151 2345 6789".into(),
            message_body: "one\r\ntwo".into(),
            expires_in: "2".into(),
            metadata: "{\"a\":1}".into(),
            key: "k".into(),
            ..Typed::default()
        };
        let message = typed.parse(&Zone::default()).expect("nothing is wrong");
        assert_eq!(message.sender_number.expect("given").secret().expose(), "+4915123456789");
        assert_eq!((message.message_body.secret().expose().as_str(), message.expires_in), ("one\ntwo", Some(7200)));
        let typed = Typed { message_body: " ".into(), metadata: "[1]".into(), deliver_at: "soon".into(), ..typed };
        let errors = typed.parse(&Zone::default()).expect_err("wrong");
        for name in ["message_body", "metadata", "deliver_at"] {
            assert!(errors.of(name).is_some(), "{name}");
        }
    }
}

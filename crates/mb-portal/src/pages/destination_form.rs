//! What can be set about a destination, as it is typed.
//!
//! A certificate's key is never shown again, and neither are certificates that are there already: a choice says whether
//! there are any, and an empty area leaves those that are.

use askama::Template;
use mb_api::dto::{DestinationRow, DestinationSettings, SecretText};
use mb_core::{ClientName, DestinationKind, RetrySchedule, TopicGlob};

use super::destinations::listed;
use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::shell::Shell;

/// What a choice sends if it is made.
const YES: &str = "yes";

/// A form in parts.
#[derive(Template)]
#[template(path = "destination_form.html")]
pub(super) struct DestinationForm {
    pub(super) shell: Shell,
    pub(super) title: String,
    pub(super) up: (String, &'static str),
    pub(super) action: String,
    pub(super) above: Option<String>,
    pub(super) kind: DestinationKind,
    /// Whether the kind can still be chosen.
    pub(super) fresh: bool,
    /// Each under its legend.
    pub(super) parts: Vec<(&'static str, Vec<Field>)>,
    pub(super) button: &'static str,
}

/// The settings as they are typed.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    url: String,
    topics: String,
    clients: String,
    retry: String,
    concurrency: String,
    rate: String,
    own_ca: String,
    ca: String,
    shows: String,
    client_certificate: String,
    client_key: SecretText,
}

impl Default for Typed {
    fn default() -> Self {
        let empty = String::new;
        Self {
            url: empty(),
            topics: empty(),
            clients: empty(),
            retry: empty(),
            concurrency: empty(),
            rate: empty(),
            own_ca: empty(),
            ca: empty(),
            shows: empty(),
            client_certificate: empty(),
            client_key: SecretText::new(empty()),
        }
    }
}

impl Typed {
    /// The names of its fields.
    pub(super) const NAMES: [&'static str; 11] = [
        "url",
        "topics",
        "clients",
        "retry",
        "concurrency",
        "rate",
        "own_ca",
        "ca",
        "shows",
        "client_certificate",
        "client_key",
    ];

    /// As a form shows what is there.
    pub(super) fn of(row: &DestinationRow) -> Self {
        let chosen = |yes: bool| if yes { YES.to_owned() } else { String::new() };
        Self {
            url: row.url.clone().unwrap_or_default(),
            topics: listed(&row.topics),
            clients: listed(&row.clients),
            retry: row.retry.to_string(),
            concurrency: row.concurrency.to_string(),
            rate: row.rate.map(|rate| rate.to_string()).unwrap_or_default(),
            own_ca: chosen(row.own_ca),
            shows: chosen(row.client_certificate),
            ..Self::default()
        }
    }

    /// As the main server takes them; `before` is what is there. Bounds it holds itself.
    pub(super) fn parse(
        &self,
        kind: DestinationKind,
        before: Option<&DestinationRow>,
        errors: &mut Errors,
    ) -> DestinationSettings {
        let topics = words(&self.topics, TopicGlob::parse);
        let topics = errors.need("topics", topics, "Topics are words with dots between them; * and ** stand for any");
        let clients = errors.need("clients", words(&self.clients, ClientName::parse), "These are no clients' names");
        let retry = self.retry.trim();
        let retry = (!retry.is_empty() || before.is_some())
            .then(|| errors.need("retry", RetrySchedule::parse(retry), "Write waits as 5s,30s,2m,1h or fixed:30s*100"))
            .flatten();
        let mut settings = DestinationSettings { topics, clients, retry, ..DestinationSettings::default() };
        if kind == DestinationKind::Pull {
            return settings;
        }
        settings.url =
            errors.need("url", Some(self.url.trim().to_owned()).filter(|url| !url.is_empty()), "Enter an address");
        let mut whole = |text: &str, name: &str| {
            let text = text.trim();
            (!text.is_empty())
                .then(|| errors.need(name, text.parse().ok(), "Enter a whole number, or nothing"))
                .flatten()
        };
        settings.concurrency = whole(&self.concurrency, "concurrency");
        // Nothing typed is no limit, which the main server calls 0.
        settings.rate = whole(&self.rate, "rate").or(Some(0));
        self.parse_trust(&mut settings, before, errors);
        settings
    }

    fn parse_trust(&self, settings: &mut DestinationSettings, before: Option<&DestinationRow>, errors: &mut Errors) {
        let typed = |text: &str| Some(text.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty());
        settings.ca = match (self.own_ca == YES, typed(&self.ca)) {
            (true, None) if before.is_none_or(|row| !row.own_ca) => {
                errors.need("ca", None, "Paste the certificates, or choose the system's")
            }
            (true, ca) => ca,
            (false, _) => Some(String::new()),
        };
        let key = typed(self.client_key.secret().expose());
        match (self.shows == YES, typed(&self.client_certificate), key) {
            (true, Some(certificate), Some(key)) => {
                settings.client_certificate = Some(certificate);
                settings.client_key = Some(SecretText::new(key));
            }
            (true, None, None) if before.is_some_and(|row| row.client_certificate) => {}
            (true, None, _) => errors.add("client_certificate", "Paste the certificate, or choose none"),
            (true, Some(_), None) => errors.add("client_key", "Paste the certificate's key"),
            (false, ..) => settings.client_certificate = Some(String::new()),
        }
    }

    /// The form's parts; `first` are fields of the first part that only one of the forms has.
    pub(super) fn parts(
        &self,
        kind: DestinationKind,
        first: Vec<Field>,
        errors: &Errors,
    ) -> Vec<(&'static str, Vec<Field>)> {
        let (webhook, fresh) = (kind == DestinationKind::Webhook, !first.is_empty());
        let mut place = first;
        if webhook {
            place.push(
                Field::new("url", "Address", Input::Line("url"), &self.url, errors)
                    .hint("https://HOST/PATH. Messages are posted to it as JSON, signed."),
            );
        }
        let mut parts =
            vec![("Where", place), ("What it takes", self.selection(errors)), ("Pace", self.pace(webhook, errors))];
        if webhook {
            parts.push(("Trust", self.trust(fresh, errors)));
        }
        parts.retain(|(_, fields)| !fields.is_empty());
        parts
    }

    fn selection(&self, errors: &Errors) -> Vec<Field> {
        vec![
            Field::line("topics", "Topics", &self.topics, errors)
                .optional()
                .hint("With commas between them; * stands for one word, ** for any. Empty: all."),
            Field::line("clients", "Clients", &self.clients, errors)
                .optional()
                .hint("Names with commas between them. Empty: all clients of the domain."),
        ]
    }

    fn pace(&self, webhook: bool, errors: &Errors) -> Vec<Field> {
        let retry = Field::line("retry", "Tried again after", &self.retry, errors)
            .optional()
            .hint("As 5s,30s,2m,1h or fixed:30s*100. Empty: as all destinations. After the last comes a dead letter.");
        if !webhook {
            return vec![retry];
        }
        let number = || Input::Line("number");
        vec![
            retry,
            Field::new("concurrency", "Requests at once", number(), &self.concurrency, errors)
                .optional()
                .hint("Of each worker. Empty: 8."),
            Field::new("rate", "Requests per second", number(), &self.rate, errors)
                .optional()
                .hint("Of each worker. Empty: no limit."),
        ]
    }

    fn trust(&self, fresh: bool, errors: &Errors) -> Vec<Field> {
        // Of a new one nothing is there that could stay.
        let stays = |hint: &'static str| if fresh { "Needed if it is chosen." } else { hint };
        let choice = |no: &str, yes: &str| Input::Choice(vec![Choice::new("", no), Choice::new(YES, yes)]);
        vec![
            Field::new(
                "own_ca",
                "Its certificate is verified by",
                choice("The system's CA certificates", "These CA certificates"),
                &self.own_ca,
                errors,
            ),
            Field::new("ca", "CA certificates, PEM", Input::Lines(4), &self.ca, errors)
                .optional()
                .hint(stays("Left empty, those that are there stay.")),
            Field::new("shows", "Show it a certificate", choice("No", "This one"), &self.shows, errors),
            Field::new("client_certificate", "Certificate, PEM", Input::Lines(4), &self.client_certificate, errors)
                .optional()
                .hint(stays("Left empty, the one that is there stays, with its key.")),
            Field::new("client_key", "Its private key, PEM", Input::Lines(4), "", errors)
                .optional()
                .hint("Kept sealed, and never shown again."),
        ]
    }
}

/// What stands between commas; `None` if one of them is none.
fn words<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &Typed, before: Option<&DestinationRow>) -> (DestinationSettings, Errors) {
        let mut errors = Errors::default();
        let settings = typed.parse(DestinationKind::Webhook, before, &mut errors);
        (settings, errors)
    }

    fn webhook() -> Typed {
        Typed { url: "https://a.example/in".into(), ..Typed::default() }
    }

    #[test]
    fn a_destination_is_set_by_few_words_and_the_rest_is_as_usual() {
        let (settings, errors) = parse(&Typed { topics: "orders.*, alarms".into(), ..webhook() }, None);
        assert!(errors.is_empty());
        assert_eq!(settings.topics.map(|topics| topics.len()), Some(2));
        assert_eq!((settings.concurrency, settings.rate, settings.retry), (None, Some(0), None));
        assert_eq!((settings.ca.as_deref(), settings.client_certificate.as_deref()), (Some(""), Some("")));
    }

    #[test]
    fn what_does_not_read_is_said_at_its_field() {
        let typed = Typed {
            topics: "Orders".into(),
            clients: "UPPER".into(),
            retry: "soon".into(),
            rate: "many".into(),
            own_ca: YES.into(),
            shows: YES.into(),
            ..Typed::default()
        };
        let (_, errors) = parse(&typed, None);
        for name in ["url", "topics", "clients", "retry", "rate", "ca", "client_certificate"] {
            assert!(errors.of(name).is_some(), "{name}");
        }
    }

    #[test]
    fn one_that_is_fetched_has_no_address_and_no_pace() {
        let mut errors = Errors::default();
        let settings = Typed::default().parse(DestinationKind::Pull, None, &mut errors);
        assert!(errors.is_empty());
        assert_eq!((settings.url, settings.rate, settings.ca), (None, None, None));
        let parts = Typed::default().parts(DestinationKind::Pull, Vec::new(), &errors);
        assert_eq!(parts.iter().map(|(legend, _)| *legend).collect::<Vec<_>>(), ["What it takes", "Pace"]);
    }
}

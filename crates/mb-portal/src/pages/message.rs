//! One message: where it stands and what was tried. Its content stays closed until somebody asks for it by a button, and
//! that opening the main server records.

use askama::Template;
use axum::extract::Path;
use mb_api::dto::{AttemptOutcome, MessageDetail, MessageDetailQuery};
use mb_api::problem::ProblemCode;
use mb_core::{DeliveryState, MessageId, MessageState};

use crate::errors::sentence;
use crate::form::{Empty, Form};
use crate::person::Person;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::{grouped, plain};

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    shell: Shell,
    message: MessageDetail,
    opened: bool,
    admin: bool,
}

pub(crate) async fn get(person: Person, Path(id): Path<String>) -> Answer {
    show(&person, &id, false).await
}

pub(crate) async fn post(person: Person, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    show(&person, &id, true).await
}

async fn show(person: &Person, id: &str, opened: bool) -> Answer {
    let id = MessageId::parse(id).ok_or_else(Stop::not_found)?;
    let ask = async |opened: bool| person.client.message(&id, &MessageDetailQuery { body: Some(opened) }).await;
    // A content that can no longer be opened leaves the rest to be seen.
    let message = match ask(opened).await {
        Err(error) if opened && error.code() == Some(ProblemCode::Conflict) => ask(false).await,
        outcome => outcome,
    };
    let view =
        MessagePage { shell: person.shell(Section::Messages), message: message?, opened, admin: person.is_admin() };
    page(&view)
}

impl MessagePage {
    fn number(&self) -> Option<&str> {
        self.message.sender_number.as_ref().map(|number| number.secret().expose().as_str())
    }

    /// Whether there may be something to try now: what waits, and what was given up.
    fn may_retry(&self) -> bool {
        self.admin && matches!(self.message.row.status, MessageState::Processing | MessageState::Failed)
    }

    /// Whether it can be withdrawn, as far as is known here.
    fn may_cancel(&self) -> bool {
        self.admin && !self.message.row.status.is_final()
    }

    fn body(&self) -> Option<String> {
        self.message.message_body.as_ref().map(|body| plain(body.secret().expose()))
    }

    fn metadata(&self) -> Option<String> {
        self.message
            .metadata
            .as_ref()
            .and_then(|metadata| serde_json::to_string_pretty(metadata).ok())
            .map(|text| plain(&text))
    }
}

/// The badge's tone for a delivery.
const fn tone(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Open => "processing",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "failed",
        DeliveryState::Expired => "expired",
        DeliveryState::Cancelled => "cancelled",
    }
}

/// How an attempt ended, in words.
const fn outcome(outcome: AttemptOutcome) -> (&'static str, &'static str) {
    match outcome {
        AttemptOutcome::Delivered => ("delivered", "taken"),
        AttemptOutcome::Retry => ("processing", "will be tried again"),
        AttemptOutcome::Reject => ("failed", "refused"),
    }
}

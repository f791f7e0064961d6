//! What an admin does about a message: have it tried now, withdraw it, send it to a destination again.

use axum::extract::Path;
use mb_api::ClientError;
use mb_api::dto::{DestinationQuery, MessageDetail, MessageDetailQuery, ReplayMessages};
use mb_core::{DestinationId, MessageId, Timestamp};

use crate::errors::Errors;
use crate::field::{Choice, Field, Input};
use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::form_page::{Confirmation, FormPage};
use crate::person::{Admin, Person};
use crate::respond::{done, mend, page};
use crate::shell::Section;
use crate::stop::{Answer, Stop};

/// Characters of an id that are typed to confirm: enough to tell messages apart that are looked at.
const TYPED: usize = 8;
/// Steps of a replay that looks for one message among those of the same moment.
const STEPS: usize = 100;
const MICROSECOND: std::time::Duration = std::time::Duration::from_micros(1);

#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct ReplayForm {
    #[serde(default)]
    destination: String,
}

pub(crate) async fn retry(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let id = parse(&id)?;
    let retried = person.client.retry_message(&id).await?;
    let flash = if retried.hastened + retried.redriven > 0 { Flash::MessageRetried } else { Flash::MessageNotRetried };
    Ok(done(&address(id), flash))
}

pub(crate) async fn ask_cancel(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    page(&cancel_form(&person, parse(&id)?, &Confirmation::default(), &Errors::default()))
}

pub(crate) async fn cancel(
    Admin(person): Admin,
    Path(id): Path<String>,
    Form(confirmation): Form<Confirmation>,
) -> Answer {
    let id = parse(&id)?;
    let errors = confirmation.check(&ending(id));
    if !errors.is_empty() {
        return mend(&cancel_form(&person, id, &confirmation, &errors));
    }
    match person.client.cancel_message(&id).await {
        Ok(()) => Ok(done(&address(id), Flash::MessageCancelled)),
        Err(error) => mend(&cancel_form(&person, id, &confirmation, &Errors::from_refusal(error)?)),
    }
}

pub(crate) async fn ask_replay(Admin(person): Admin, Path(id): Path<String>) -> Answer {
    let message = message(&person, parse(&id)?).await?;
    page(&replay_form(&person, &message, "", &Errors::default()).await?)
}

pub(crate) async fn replay(Admin(person): Admin, Path(id): Path<String>, Form(form): Form<ReplayForm>) -> Answer {
    let id = parse(&id)?;
    let message = message(&person, id).await?;
    let mut errors = Errors::default();
    let to = form.destination.parse().ok().map(DestinationId::new);
    let Some(to) = errors.need("destination", to, "Choose a destination") else {
        return mend(&replay_form(&person, &message, &form.destination, &errors).await?);
    };
    match send_again(&person, to, id, message.row.queued_at).await {
        Ok(0) => Ok(done(&address(id), Flash::MessageNotReplayed)),
        Ok(_) => Ok(done(&address(id), Flash::MessageReplayed)),
        Err(error) => mend(&replay_form(&person, &message, &form.destination, &Errors::from_refusal(error)?).await?),
    }
}

/// Looks through what was accepted at the same moment; a batch may be many.
async fn send_again(person: &Person, to: DestinationId, id: MessageId, at: Timestamp) -> Result<u64, ClientError> {
    let mut ask = ReplayMessages {
        since: at,
        until: Some(at.plus(MICROSECOND)),
        topics: None,
        message_id: Some(id),
        dry_run: false,
        cursor: None,
    };
    let mut sent = 0;
    for _ in 0..STEPS {
        let replayed = person.client.replay_messages(to, &ask).await?;
        sent += replayed.sent;
        if sent > 0 || replayed.next.is_none() {
            break;
        }
        ask.cursor = replayed.next;
    }
    Ok(sent)
}

async fn message(person: &Person, id: MessageId) -> Result<MessageDetail, Stop> {
    Ok(person.client.message(&id, &MessageDetailQuery { body: Some(false) }).await?)
}

fn cancel_form(person: &Person, id: MessageId, confirmation: &Confirmation, errors: &Errors) -> FormPage {
    let ending = ending(id);
    FormPage {
        shell: person.shell(Section::Messages),
        title: "Withdraw this message".into(),
        up: Some((address(id), "Message")),
        action: format!("{}/cancel", address(id)),
        above: errors.above(&["confirm"]).map(str::to_owned),
        intro: Some(format!(
            "It will not be delivered any more. What a destination has taken already stays taken. To confirm, type the last \
             {TYPED} characters of its id: {ending}"
        )),
        fields: vec![confirmation.field(errors)],
        button: "Withdraw the message",
        grave: true,
    }
}

async fn replay_form(
    person: &Person,
    message: &MessageDetail,
    chosen: &str,
    errors: &Errors,
) -> Result<FormPage, Stop> {
    let query = DestinationQuery { domain: Some(message.row.domain.clone()), ..DestinationQuery::default() };
    let destinations = person.client.destinations(&query).await?.data;
    let choices: Vec<_> =
        destinations.iter().map(|row| Choice::new(row.id.to_string(), row.name.to_string())).collect();
    let none = choices.is_empty();
    let intro = if none {
        format!("The domain {} has no destination to send it to.", message.row.domain)
    } else {
        "The destination gets the message again, under the same id, whether it had it or not. Where the message stands does \
         not change by it."
            .to_owned()
    };
    Ok(FormPage {
        shell: person.shell(Section::Messages),
        title: "Send this message again".into(),
        up: Some((address(message.row.id), "Message")),
        action: format!("{}/replay", address(message.row.id)),
        above: errors.above(&["destination"]).map(str::to_owned),
        intro: Some(intro),
        fields: vec![Field::new("destination", "Destination", Input::Choice(choices), chosen, errors)],
        button: "Send it again",
        grave: false,
    })
}

fn parse(id: &str) -> Result<MessageId, Stop> {
    MessageId::parse(id).ok_or_else(Stop::not_found)
}

fn address(id: MessageId) -> String {
    format!("/messages/{id}")
}

/// The end of an id, where ids of one moment differ.
fn ending(id: MessageId) -> String {
    let text = id.to_string();
    text[text.len().saturating_sub(TYPED)..].to_owned()
}

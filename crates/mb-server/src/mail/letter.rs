//! From a mail in the store to one that a mail server takes.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, SinglePart};
use mb_crypto::master::MasterKeys;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::Mail;

/// Builds the message; the reason if it can never be sent.
pub(super) fn build(master: &MasterKeys, from: &Mailbox, mail: &Mail) -> Result<Message, &'static str> {
    let to = mail.to.parse().map(|address| Mailbox::new(None, address)).map_err(|_| "the recipient is no address")?;
    let text = sealed_value::open(master, Purpose::MailBody, &mail.to, &mail.body);
    let text = text.map_err(|_| "the text cannot be opened")?;
    let text = std::str::from_utf8(&text).map_err(|_| "the text is not UTF-8")?;
    let written = Duration::from_micros(u64::try_from(mail.created_at.micros()).unwrap_or(0));
    // The same on every attempt, so that a mail that was taken twice is shown once.
    let id = format!("<{}.{}@{}>", mail.created_at.micros(), mail.id, from.email.domain());
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(mail.subject.clone())
        .date(SystemTime::UNIX_EPOCH + written)
        .message_id(Some(id))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text.to_owned()))
        .map_err(|_| "the mail breaks a rule of its format")
}

//! Notices: what somebody should know and nobody asked for.

use askama::Template;
use axum::extract::Path;
use mb_api::Query;
use mb_api::dto::{NoticeQuery, NoticeRow};
use mb_core::{NoticeId, NoticeKind, NoticeLevel, Timestamp};
use serde_json::Value;

use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{done, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    shell: Shell,
    rows: Vec<NoticeRow>,
    paging: Paging,
    all: bool,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    show: String,
    cursor: String,
    back: String,
}

pub(crate) async fn get(Admin(person): Admin, Query(filter): Query<Filter>) -> Answer {
    let place = Place::new(&filter.cursor, &filter.back);
    let all = filter.show == "all";
    let query = NoticeQuery { resolved: all.then_some(true), limit: None, cursor: place.cursor.clone() };
    let found = person.client.notices(&query).await?;
    let paging = Paging::new("/admin/notices", &[("show", &filter.show)], &place, found.next.as_deref());
    page(&NoticesPage { shell: person.shell(Section::Notices), rows: found.data, paging, all })
}

pub(crate) async fn post(Admin(person): Admin, Path(id): Path<String>, Form(Empty {}): Form<Empty>) -> Answer {
    let id = id.parse().map(NoticeId::new).map_err(|_| Stop::not_found())?;
    person.client.resolve_notice(&id).await?;
    Ok(done("/admin/notices", Flash::NoticeResolved))
}

/// What a notice says, and what to do about it.
const fn words(kind: NoticeKind) -> (&'static str, &'static str) {
    match kind {
        NoticeKind::CertificateExpiring => ("A certificate expires soon", "Issue a new one before that."),
        NoticeKind::DeadLetters => ("Messages became dead letters", "Look why, then redrive or purge them."),
        NoticeKind::BackupFailed => ("Backups fail or are not made", "See why, then back up again."),
        NoticeKind::JournalDamaged => {
            ("A journal needs somebody", "Look with `journal status` at that proxy; everything is kept.")
        }
        NoticeKind::DestinationDisabled => ("A destination was disabled", "Mend it, then enable it again."),
        NoticeKind::AuditBroken => ("The audit log does not verify", "Verify it and look at what is wrong."),
        NoticeKind::MailFailing => ("Mail cannot be sent", "Check the mail server's settings."),
        NoticeKind::MailGivenUp => ("A mail was given up", "Whoever waits for it will not get it: see why."),
        NoticeKind::NoLeader => ("No main server leads", "See in their logs why none of them takes the lease `jobs`."),
        NoticeKind::MessageUnreadable => ("A message cannot be opened", "See which key it needs, or restore it."),
        NoticeKind::RetentionBehind => {
            ("What is too old is not removed in time", "See the log of the leading main server.")
        }
    }
}

/// The page where something can be done about it.
const fn place(kind: NoticeKind) -> Option<(&'static str, &'static str)> {
    match kind {
        NoticeKind::CertificateExpiring => Some(("/admin/certificates?show=expiring", "Expiring certificates")),
        NoticeKind::DeadLetters => Some(("/admin/dead-letters", "Dead letters")),
        NoticeKind::BackupFailed => Some(("/admin/backups", "Backups")),
        NoticeKind::JournalDamaged => Some(("/admin/proxies", "Proxies")),
        NoticeKind::DestinationDisabled => Some(("/admin/destinations", "Destinations")),
        NoticeKind::AuditBroken => Some(("/admin/audit", "Audit log")),
        NoticeKind::RetentionBehind => Some(("/admin/retention", "Retention")),
        NoticeKind::MailFailing | NoticeKind::MailGivenUp => Some(("/admin/settings", "Settings")),
        NoticeKind::MessageUnreadable | NoticeKind::NoLeader => None,
    }
}

/// The badge's tone.
const fn tone(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "processing",
        NoticeLevel::Warning => "warning",
        NoticeLevel::Error => "failed",
    }
}

/// What happened, in a sentence that a time may end. `None` if the notice does not tell it.
fn told(row: &NoticeRow) -> Option<(String, Option<Timestamp>)> {
    let text = |name: &str| row.detail.get(name).and_then(Value::as_str);
    let number = |name: &str| row.detail.get(name).and_then(Value::as_i64);
    let time = |name: &str| text(name).and_then(Timestamp::parse_rfc3339);
    match row.kind {
        NoticeKind::CertificateExpiring => {
            let ends = if number("days") == Some(0) { "ended" } else { "ends" };
            let about = format!("The certificate of {} ({}) {ends} at", text("name")?, text("role")?);
            Some((about, Some(time("expires_at")?)))
        }
        NoticeKind::DeadLetters => {
            let about = format!("The newest is number {} ({}), of", number("newest")?, text("reason")?);
            Some((about, Some(time("at")?)))
        }
        NoticeKind::MailFailing => {
            let about = format!("{} mails wait ({}), since", number("waiting")?, text("error")?);
            Some((about, Some(time("since")?)))
        }
        NoticeKind::AuditBroken => {
            let place = number("position").map_or_else(String::new, |place| format!("At row {place}: "));
            Some((format!("{place}{}", text("detail")?), None))
        }
        NoticeKind::MailGivenUp => {
            let about = format!("\"{}\" to {}: {}, written", text("subject")?, text("to")?, text("error")?);
            Some((about, Some(time("written")?)))
        }
        NoticeKind::NoLeader => {
            Some(("Notices, retention and other jobs stand still, since".to_owned(), Some(time("since")?)))
        }
        NoticeKind::MessageUnreadable => Some((format!("It was not served: {}", text("reason")?), None)),
        NoticeKind::BackupFailed => Some((text("reason")?.to_owned(), None)),
        NoticeKind::JournalDamaged => {
            let words = [("damaged", "damaged"), ("stale", "older than the horizon"), ("refused", "refused")];
            let counted =
                words.iter().filter_map(|(name, word)| Some((number(name).filter(|count| *count > 0)?, word)));
            let counted = counted.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
            Some((format!("Entries in the journal of {}: {counted}", text("proxy")?), None))
        }
        NoticeKind::RetentionBehind => Some((format!("The oldest of it is {} days overdue", number("days")?), None)),
        NoticeKind::DestinationDisabled => None,
    }
}

/// Everything else that a notice says.
fn details(row: &NoticeRow) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = row.detail.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| (name.replace('_', " "), text(value))).collect()
}

//! Notices: what somebody should know and nobody asked for.

use askama::Template;
use axum::extract::Path;
use mb_api::Query;
use mb_api::dto::{NoticeQuery, NoticeRow};
use mb_core::{NoticeId, NoticeKind, NoticeLevel};

use crate::flash::Flash;
use crate::form::{Empty, Form};
use crate::paging::{Paging, Place};
use crate::person::Admin;
use crate::respond::{done, page};
use crate::shell::{Section, Shell};
use crate::stop::{Answer, Stop};
use crate::view::when;

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
        NoticeKind::BackupFailed => ("A backup failed", "See the log, then back up again."),
        NoticeKind::JournalDamaged => ("A journal has damaged frames", "A copy is kept; check the proxy's disk."),
        NoticeKind::DestinationDisabled => ("A destination was disabled", "Mend it, then enable it again."),
        NoticeKind::AuditBroken => ("The audit log does not verify", "Verify it and look at what is wrong."),
        NoticeKind::MailFailing => ("Mail cannot be sent", "Check the mail server's settings."),
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

fn details(row: &NoticeRow) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = row.detail.iter().filter(|(_, value)| !value.is_null());
    told.map(|(name, value)| (name.replace('_', " "), text(value))).collect()
}

//! Notices that the main server raises by itself, and mails to admins about all of them.
//!
//! A notice of a kind about a thing is open once. What is looked at again and again raises only what is not open yet, and
//! resolves what is cured, so that nothing is written where nothing changed.

pub(crate) mod certificates;
pub(crate) mod digest;
pub(crate) mod journals;

use std::collections::BTreeSet;

use mb_api::dto::AuditFault;
use mb_api::problem::ApiError;
use mb_core::{NoticeKind, NoticeLevel, Timestamp};
use mb_store::{Mail, NewNotice, NoticeKey, StoreError};
use serde_json::json;

use crate::app::App;
use crate::audit::verify::{self, Place};
use crate::mail::MailState;
use crate::opening::About;

/// Who resolves what is cured.
const ACTOR: &str = "system:main-server";
/// Notices of one page.
const PAGE: u32 = 250;
/// The key of what there is only one of.
const ONLY: &str = "all";

/// What open notices of a kind are about.
async fn open_of(app: &App, kind: NoticeKind) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    loop {
        let after = found.last().map_or("", String::as_str);
        let page = app.store.open_notices(kind, after, PAGE).await?;
        let full = page.len() == PAGE as usize;
        found.extend(page);
        if !full {
            return Ok(found);
        }
    }
}

/// Makes the open notices of a kind be exactly these.
async fn settle(app: &App, kind: NoticeKind, wanted: Vec<NewNotice>) -> Result<(), StoreError> {
    let mut open = open_of(app, kind).await?;
    for notice in wanted {
        if !open.remove(&notice.key) {
            app.store.raise_notice(&notice).await?;
        }
    }
    for cured in open {
        app.store.resolve_notice(NoticeKey::About(kind, &cured), ACTOR).await?;
    }
    Ok(())
}

/// Mail cannot be sent, or there is no mail server for what waits.
pub(crate) async fn mail(app: &App) -> Result<(), StoreError> {
    let kind = NoticeKind::MailFailing;
    let wanted = match app.mail.state() {
        MailState::Fine => Vec::new(),
        MailState::Failing { since, error } => {
            let waiting = app.store.mail_backlog().await?.waiting;
            let detail = json!({ "since": since, "error": error, "waiting": waiting });
            vec![NewNotice { kind, key: ONLY.to_owned(), level: NoticeLevel::Error, detail }]
        }
    };
    settle(app, kind, wanted).await
}

/// What is too old is not removed in time.
pub(crate) async fn retention(app: &App) -> Result<(), StoreError> {
    let (kind, level) = (NoticeKind::RetentionBehind, NoticeLevel::Warning);
    let notice = |overdue: std::time::Duration| {
        let detail = json!({ "days": overdue.as_secs() / 86_400 });
        NewNotice { kind, key: ONLY.to_owned(), level, detail }
    };
    settle(app, kind, app.retention.behind().map(notice).into_iter().collect()).await
}

/// The key of the notice that there is nothing to seal backups with.
pub(crate) const NO_KEY: &str = "key";

/// Why there is no backup that can be relied upon.
pub(crate) enum NoBackup<'a> {
    /// There is nothing to seal with.
    Key(&'a str),
    /// The last one failed.
    Failed(&'a str),
    /// The one of that name does not verify.
    Unproven(&'a str, &'a str),
}

/// Backups are not made, or fail; `None`: one has just been made.
pub(crate) async fn backup(app: &App, trouble: Option<NoBackup<'_>>) -> Result<(), StoreError> {
    let kind = NoticeKind::BackupFailed;
    let (key, level, reason) = match trouble {
        None => return settle(app, kind, Vec::new()).await,
        Some(NoBackup::Key(reason)) => (NO_KEY, NoticeLevel::Warning, reason),
        Some(NoBackup::Failed(reason)) => (ONLY, NoticeLevel::Error, reason),
        Some(NoBackup::Unproven(name, reason)) => (name, NoticeLevel::Error, reason),
    };
    if !open_of(app, kind).await?.contains(key) {
        let detail = json!({ "reason": reason });
        app.store.raise_notice(&NewNotice { kind, key: key.to_owned(), level, detail }).await?;
    }
    Ok(())
}

/// A message does not open.
pub(crate) async fn unreadable(app: &App, message: About<'_>, reason: &str) -> Result<(), StoreError> {
    let detail = json!({ "client": message.client, "domain": message.domain, "reason": reason });
    let (kind, level) = (NoticeKind::MessageUnreadable, NoticeLevel::Error);
    let key = message.id.to_string();
    app.store.raise_notice(&NewNotice { kind, key, level, detail }).await.map(drop)
}

/// New dead letters are a notice until somebody resolves it; more of them count it up. Which one was told of last is in
/// the store: who leads next tells of those that came while nobody led.
pub(crate) async fn dead_letters(app: &App) -> Result<(), StoreError> {
    let Some(letter) = app.store.dead_letters(None, 1).await?.pop() else { return Ok(()) };
    let detail = json!({ "newest": letter.id, "reason": letter.reason, "at": letter.created_at });
    let (kind, level) = (NoticeKind::DeadLetters, NoticeLevel::Warning);
    let notice = NewNotice { kind, key: ONLY.to_owned(), level, detail };
    app.store.raise_notice_of(&notice, letter.id.unsigned_abs()).await.map(drop)
}

/// Nobody gets this mail any more.
pub(crate) async fn given_up(app: &App, mail: &Mail, error: &str) -> Result<(), StoreError> {
    let detail = json!({
        "to": mail.to,
        "subject": mail.subject,
        "error": error,
        "written": mail.created_at,
        "attempts": mail.attempt,
    });
    let (kind, level) = (NoticeKind::MailGivenUp, NoticeLevel::Warning);
    app.store.raise_notice(&NewNotice { kind, key: ONLY.to_owned(), level, detail }).await.map(drop)
}

/// Nobody leads since then, or somebody does again.
pub(crate) async fn leadership(app: &App, leaderless: Option<Timestamp>) -> Result<(), StoreError> {
    let kind = NoticeKind::NoLeader;
    let notice = |since| {
        let detail = json!({ "since": since });
        NewNotice { kind, key: ONLY.to_owned(), level: NoticeLevel::Error, detail }
    };
    settle(app, kind, leaderless.map(notice).into_iter().collect()).await
}

/// Something about the audit log that its check will not show again, so that a person has to resolve it.
pub(crate) async fn audit_touched(app: &App, key: &str, level: NoticeLevel, detail: &str) -> Result<(), StoreError> {
    tracing::error!(about = key, detail, "the audit log was touched");
    let kind = NoticeKind::AuditBroken;
    let detail = json!({ "detail": detail });
    app.store.raise_notice(&NewNotice { kind, key: key.to_owned(), level, detail }).await.map(drop)
}

/// The oldest part of the audit log is not removed: it is not what was signed. It stays until a person has looked at it.
pub(crate) async fn audit_kept(app: &App, position: u64) -> Result<(), StoreError> {
    let (kind, key) = (NoticeKind::AuditBroken, "oldest");
    if open_of(app, kind).await?.contains(key) {
        return Ok(());
    }
    let detail = json!({ "position": position, "detail": "what is old enough to go does not verify, and is kept" });
    app.store.raise_notice(&NewNotice { kind, key: key.to_owned(), level: NoticeLevel::Error, detail }).await.map(drop)
}

/// Checks the whole audit log.
pub(crate) async fn audit(app: &App) -> Result<(), ApiError> {
    let (mut place, mut first): (_, Option<AuditFault>) = (Place::START, None);
    loop {
        let mut found = verify::stretch(app, place).await?;
        if first.is_none() && !found.faults.is_empty() {
            first = Some(found.faults.swap_remove(0));
        }
        match found.next {
            Some(next) if !app.stopping.is_cancelled() => place = next,
            _ => break,
        }
    }
    let kind = NoticeKind::AuditBroken;
    let Some(fault) = first else {
        let cured = app.store.resolve_notice(NoticeKey::About(kind, ONLY), ACTOR).await;
        return cured.map(drop).map_err(crate::routes::store_fault);
    };
    tracing::error!(position = fault.position, detail = fault.detail, "the audit log does not verify");
    if open_of(app, kind).await.map_err(crate::routes::store_fault)?.contains(ONLY) {
        return Ok(());
    }
    let detail = json!({ "kind": fault.kind, "position": fault.position, "detail": fault.detail });
    let notice = NewNotice { kind, key: ONLY.to_owned(), level: NoticeLevel::Error, detail };
    app.store.raise_notice(&notice).await.map(drop).map_err(crate::routes::store_fault)
}

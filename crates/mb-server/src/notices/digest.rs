//! Mails to admins about what is new: one mail with all of it to each.

use std::fmt::Write as _;

use mb_core::{NoticeKind, NoticeLevel, UserRole};
use mb_crypto::CryptoError;
use mb_store::{Notice, StoreError, User, UserFilter};

use crate::app::App;
use crate::{mail, routes};

/// Notices of one mail; more come with the next.
const NOTICES: u32 = 50;
/// Admins who are mailed.
const ADMINS: u32 = 250;

/// Mails what was not mailed. Without a mail server nothing is: then nothing waits for one either.
pub(crate) async fn run(app: &App) -> Result<(), StoreError> {
    if !app.mail.is_on() {
        return Ok(());
    }
    let mut notices = app.store.unmailed_notices(NOTICES).await?;
    // That mail fails cannot be mailed.
    notices.retain(|notice| notice.kind != NoticeKind::MailFailing);
    if notices.is_empty() {
        return Ok(());
    }
    let (subject, text) = (subject(&notices), text(&app.people.config.portal_url, &notices));
    let compose = |admin: User| mail::compose(&app.master, &admin.email, &subject, &text);
    match admins(app).await?.into_iter().map(compose).collect::<Result<Vec<_>, CryptoError>>() {
        Ok(mails) => {
            let ids = notices.iter().map(|notice| notice.id).collect::<Vec<_>>();
            app.store.mail_notices(&ids, &mails).await
        }
        Err(error) => {
            mb_runtime::logging::limited("digest", || tracing::error!(%error, "mail about notices not sealed"));
            Ok(())
        }
    }
}

/// Those who may sign in and have an address beyond this machine.
async fn admins(app: &App) -> Result<Vec<User>, StoreError> {
    let filter = UserFilter { role: Some(UserRole::Admin), active: Some(true), client: None };
    let mut admins = app.store.user_page(&filter, None, ADMINS).await?;
    let now = app.clock.now();
    admins.retain(|admin| admin.may_sign_in(now) && !admin.email.ends_with("@localhost"));
    Ok(admins)
}

fn subject(notices: &[Notice]) -> String {
    let worst = notices.iter().map(|notice| notice.level).max().unwrap_or(NoticeLevel::Info);
    match notices {
        [one] => format!("message-broker: {}: {}", worst, words(one.kind)),
        all => format!("message-broker: {}: {} notices", worst, all.len()),
    }
}

/// Keys and figures only: nothing of a message stands in a notice.
fn text(portal_url: &str, notices: &[Notice]) -> String {
    let mut text = String::new();
    for notice in notices {
        let _ = writeln!(text, "{}: {}", notice.level, words(notice.kind));
        if notice.key != super::ONLY {
            let _ = writeln!(text, "  about: {}", notice.key);
        }
        for (name, value) in routes::object(&notice.detail).iter().filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = writeln!(text, "  {}: {value}", name.replace('_', " "));
        }
        let _ = writeln!(text, "  first: {}\n", notice.first_at);
    }
    let _ = writeln!(text, "All notices: {}/admin/notices", portal_url.trim_end_matches('/'));
    text
}

const fn words(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::CertificateExpiring => "a certificate expires",
        NoticeKind::DeadLetters => "there are new dead letters",
        NoticeKind::BackupFailed => "backups fail or are not made",
        NoticeKind::JournalDamaged => "a proxy's journal holds entries that were damaged or set aside",
        NoticeKind::DestinationDisabled => "a destination was disabled",
        NoticeKind::AuditBroken => "the audit log does not verify",
        NoticeKind::MailFailing => "mail cannot be sent",
        NoticeKind::MessageUnreadable => "a stored message does not open",
        NoticeKind::RetentionBehind => "what is too old is not removed in time",
    }
}

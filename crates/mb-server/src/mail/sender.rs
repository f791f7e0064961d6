//! Sending what waits: leased, tried, reported. A mail that was taken in a moment before a crash is sent again, with the
//! same id.

use std::time::Duration;

use mb_core::Timestamp;
use mb_store::{Mail, MailOutcome, StoreError};

use super::letter;
use super::transport::{Failure, WHOLE};
use crate::app::App;

/// Mails that are leased together.
const BATCH: u32 = 10;
/// Longer than the sending of a whole batch can take.
const LEASE: Duration = Duration::from_secs(WHOLE.as_secs() * (BATCH as u64 + 1));
/// The times between attempts; the last one repeats.
const DELAYS: [Duration; 6] = [
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_mins(30),
    Duration::from_hours(1),
];
/// A mail that was not taken for so long is of no use to anybody.
const GIVE_UP: Duration = Duration::from_hours(24);

/// Sends all that is due.
pub(crate) async fn run(app: &App) -> Result<(), StoreError> {
    loop {
        let mails = app.store.lease_mail(BATCH, LEASE).await?;
        let full = mails.len() == BATCH as usize;
        for mail in mails {
            let outcome = attempt(app, &mail).await;
            app.store.report_mail(&mail, &outcome).await?;
        }
        if !full || app.stopping.is_cancelled() {
            return Ok(());
        }
    }
}

async fn attempt(app: &App, mail: &Mail) -> MailOutcome {
    if mail.expires_at.is_some_and(|end| end <= app.clock.now()) {
        return dropped(mail, "it was of no use any more before a mail server took it".to_owned());
    }
    let sent = match app.mail.transport.from().map(|from| letter::build(&app.master, from, mail)) {
        Some(Err(reason)) => Err(Failure::Lasting(reason.to_owned())),
        Some(Ok(message)) => app.mail.transport.send(message).await,
        None => Err(Failure::Passing("mail is off: SMTP_HOST is not set".to_owned())),
    };
    let now = app.clock.now();
    match sent {
        Ok(()) => {
            app.mail.succeeded();
            MailOutcome::Sent
        }
        Err(Failure::Lasting(error)) => dropped(mail, error),
        Err(Failure::Passing(error)) => {
            mb_runtime::logging::limited("mail", || tracing::warn!(error, "mail not sent"));
            app.mail.failed(now, error.clone());
            again(mail, now, error)
        }
    }
}

fn again(mail: &Mail, now: Timestamp, error: String) -> MailOutcome {
    let index = usize::try_from(mail.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay = DELAYS.get(index).or(DELAYS.last()).copied().unwrap_or(GIVE_UP);
    let next = now.plus(delay);
    // What would come after the end is not kept until then: it holds a token.
    let end = mail.created_at.plus(GIVE_UP);
    let end = mail.expires_at.map_or(end, |expires_at| end.min(expires_at));
    if next >= end { dropped(mail, error) } else { MailOutcome::Retry(next, error) }
}

/// Who waits for the mail will not get it, and this line is all there is to tell why.
fn dropped(mail: &Mail, error: String) -> MailOutcome {
    tracing::warn!(mail.id = mail.id, mail.subject, mail.attempt, error, "mail given up");
    MailOutcome::GivenUp(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_further_and_further_apart_and_end_after_a_day() {
        let mail = |attempt| Mail {
            id: 1,
            to: "a@example.org".to_owned(),
            subject: String::new(),
            body: bytes::Bytes::new(),
            created_at: Timestamp::default(),
            expires_at: None,
            attempt,
        };
        let (mut now, mut attempts) = (Timestamp::default(), 0);
        loop {
            attempts += 1;
            match again(&mail(attempts), now, String::new()) {
                MailOutcome::Retry(next, _) => {
                    assert!(next > now && next <= now.plus(Duration::from_hours(1)));
                    now = next;
                }
                MailOutcome::GivenUp(_) => break,
                MailOutcome::Sent => panic!("nothing was sent"),
            }
        }
        assert!(now >= Timestamp::default().plus(Duration::from_hours(22)));
        assert!((20..40).contains(&attempts), "{attempts}");
    }
}

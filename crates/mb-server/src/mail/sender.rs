//! Sending what waits: leased, tried, reported. A mail that was taken in a moment before a crash is sent again, with the
//! same id.

use std::time::Duration;

use mb_core::Timestamp;
use mb_store::{Mail, MailOutcome, StoreError};

use super::letter;
use super::transport::{Failure, WHOLE};
use crate::app::App;
use crate::notices;

/// Longer than the sending of a mail can take, and to report it: so long a mail waits that was under way in a crash.
const LEASE: Duration = Duration::from_secs(WHOLE.as_secs() + 15);
/// How long a mail that is under way still has when the main server stops.
const PARTING: Duration = Duration::from_secs(2);
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
    while !app.stopping.is_cancelled() {
        let Some(mail) = app.store.lease_mail(1, LEASE).await?.pop() else { return Ok(()) };
        // To drop an attempt closes its connection; a mail that was taken nevertheless comes again with the same id.
        let outcome = tokio::select! {
            outcome = attempt(app, &mail) => outcome,
            () = parting(app) => MailOutcome::Retry(app.clock.now(), "the main server stopped".to_owned()),
        };
        let counts = app.store.report_mail(&mail, &outcome).await?;
        if let MailOutcome::GivenUp(error) = &outcome
            && counts
        {
            notices::given_up(app, &mail, error).await?;
        }
    }
    Ok(())
}

/// Ends when a mail that is under way has no more time.
async fn parting(app: &App) {
    app.stopping.cancelled().await;
    tokio::time::sleep(PARTING).await;
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
        Err(Failure::Recipient(error)) if app.mail.is_about(&mail.to, mail.attempt) => dropped(mail, error),
        Err(Failure::Lasting(error)) => dropped(mail, error),
        Err(Failure::Passing(error) | Failure::Recipient(error)) => {
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

/// Who waits for the mail will not get it: this line and a notice tell why.
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

//! Reset requests: answered at once and alike, worked on behind the answer.
//!
//! Whether there is such an account is looked up only here, so neither the answer nor its time tells. The line is bounded;
//! a full one is said to everybody alike. What waits in it is lost with the process: people ask again.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::Email;
use mb_crypto::CryptoError;
use mb_crypto::token::{Token, TokenKind};
use mb_runtime::logging;
use mb_store::{NewMail, NewResetToken, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::mail;

/// How long the mail's link is good.
const LIFETIME: Duration = Duration::from_hours(1);
/// Requests that wait.
const LINE: usize = 256;

const SUBJECT: &str = "Reset your password";

#[derive(Debug)]
struct Request {
    email: Email,
    from: IpAddr,
}

/// The line.
#[derive(Debug)]
pub(crate) struct Resets {
    line: mpsc::Sender<Request>,
    /// Until it is worked on.
    waiting: Mutex<Option<mpsc::Receiver<Request>>>,
}

impl Resets {
    pub(super) fn new() -> Self {
        let (line, waiting) = mpsc::channel(LINE);
        Self { line, waiting: Mutex::new(Some(waiting)) }
    }

    /// Takes a request.
    ///
    /// # Errors
    /// 503 if too many wait.
    pub(crate) fn take(&self, email: Email, from: IpAddr) -> Result<(), ApiError> {
        let busy = |_| ApiError::new(ProblemCode::Overloaded, "too many ask for a reset at once");
        self.line.try_send(Request { email, from }).map_err(busy)
    }

    fn begin(&self) -> Option<mpsc::Receiver<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("store the request")]
    Store(#[from] StoreError),
    #[error("seal the mail")]
    Crypto(#[from] CryptoError),
}

/// Works on the line until the stop, and then on what waits.
pub(super) async fn run(app: &App, soft: &CancellationToken) {
    let Some(mut waiting) = app.people.resets.begin() else { return };
    while let Some(Some(request)) = soft.run_until_cancelled(waiting.recv()).await {
        work(app, request).await;
    }
    while let Ok(request) = waiting.try_recv() {
        work(app, request).await;
    }
}

async fn work(app: &App, request: Request) {
    if let Err(error) = reset(app, &request).await {
        logging::limited("password reset", || {
            tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "reset mail not queued");
        });
    }
}

async fn reset(app: &App, request: &Request) -> Result<(), Fault> {
    let now = app.clock.now();
    let Some(user) = app.store.user_by_email(request.email.as_str()).await? else { return Ok(()) };
    if !user.may_sign_in(now) || !app.people.throttle(|throttle| throttle.may_mail(&user.email, now)) {
        return Ok(());
    }
    let token = Token::generate(TokenKind::PasswordReset);
    let expires_at = now.plus(LIFETIME);
    let text = text(&app.people.config.portal_url, &token);
    let mail = mail::compose(&app.master, &user.email, SUBJECT, &text)?;
    let mail = NewMail { expires_at: Some(expires_at), ..mail };
    let new = NewResetToken { digest: token.digest(), user: user.id, expires_at };
    app.store.request_reset(&new, &mail, &format!("peer:{}", request.from)).await?;
    Ok(())
}

fn text(portal_url: &str, token: &Token) -> String {
    let url = portal_url.trim_end_matches('/');
    format!(
        "Somebody, probably you, asked to reset the password of your account.\n\n\
         To set another one, open this link within an hour:\n\n  {url}/reset-password?token={}\n\n\
         If it was not you, do nothing: your password stays as it is.\n",
        token.expose()
    )
}

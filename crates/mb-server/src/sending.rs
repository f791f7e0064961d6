//! Submitting as a client for somebody signed in: the way of every message, through a proxy, over a certificate.
//!
//! Who a message is from says a certificate and nothing else, so the main server, which issues them, makes one of the
//! client's for itself, good for half a day and recorded like all others; its key never leaves this process. The proxy sees a
//! client like any other: policy, limits, sealing and the journal are the same. Why not otherwise stands in ADR 10.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use mb_api::client::{Client, ClientError, Transport};
use mb_api::dto::SubmittedMessage;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, Role, Timestamp};
use mb_crypto::tls;

use crate::app::App;
use crate::authority::Order;

/// How long such a certificate is good: so short that nobody is told of its end.
const VALIDITY: Duration = Duration::from_hours(12);
/// How long one is used; then the next is made.
const USED: Duration = Duration::from_hours(11);
/// The most clients whose certificates are kept; beyond that one is made anew for each message.
const HELD: usize = 256;

/// The way to the proxies.
#[derive(Debug)]
pub(crate) struct Sending {
    proxies: Vec<String>,
    held: Mutex<HashMap<ClientName, Held>>,
}

/// Connections to the proxies as one client.
#[derive(Clone, Debug)]
struct Held {
    proxies: Vec<Client>,
    until: Timestamp,
}

impl Sending {
    /// Through these proxies, `https://host[:port]` each.
    pub(crate) fn new(proxies: Vec<String>) -> Self {
        Self { proxies, held: Mutex::default() }
    }

    fn kept(&self, client: &ClientName, now: Timestamp) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.get(client).filter(|held| now < held.until).cloned()
    }

    fn keep(&self, client: &ClientName, new: &Held, now: Timestamp) {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        held.retain(|_, held| now < held.until);
        if held.len() < HELD {
            held.insert(client.clone(), new.clone());
        }
    }

    /// The next submission asks for a new certificate.
    fn forget(&self, client: &ClientName) {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(client);
    }
}

/// Submits `body`, what a client would send, as `client`. The key makes it safe to ask one proxy after the other.
///
/// # Errors
/// What the proxy says; `unavailable` if none answers.
pub(crate) async fn submit(
    app: &App,
    client: &ClientName,
    key: &HeaderValue,
    body: Bytes,
    actor: &str,
) -> Result<SubmittedMessage, ApiError> {
    let held = match app.sending.kept(client, app.clock.now()) {
        Some(held) => held,
        None => make(app, client, actor).await?,
    };
    let mut last = None;
    for proxy in &held.proxies {
        match proxy.submit(body.clone(), key.clone()).await {
            Err(error @ (ClientError::Unreachable(_) | ClientError::Timeout)) => last = Some(error),
            Err(error) => return Err(refused(app, client, error)),
            Ok(submitted) => return Ok(submitted),
        }
    }
    let detail = "no proxy can be reached from the main server; try again";
    let error = ApiError::new(ProblemCode::Unavailable, detail);
    Err(match last {
        Some(last) => error.caused_by(last),
        None => error,
    })
}

async fn make(app: &App, client: &ClientName, actor: &str) -> Result<Held, ApiError> {
    let now = app.clock.now();
    let order = Order {
        name: client.to_string(),
        role: Role::Client,
        domain: None,
        sans: Vec::new(),
        validity: Some(VALIDITY),
    };
    let issued = app.authority.issue(order, actor).await?;
    let identity = (issued.certificate_pem.as_str(), issued.private_key_pem.expose().as_str());
    let tls = tls::public_client_config(identity, &app.authority.ca_pem()).map_err(ApiError::internal)?;
    let way = |url: &String| Transport::mtls(tls.clone(), url).map(Client::new).map_err(ApiError::internal);
    let proxies = app.sending.proxies.iter().map(way).collect::<Result<Vec<_>, _>>()?;
    let held = Held { proxies, until: now.plus(USED) };
    app.sending.keep(client, &held, now);
    Ok(held)
}

/// The proxy's words, field by field. What is wrong with the certificate is told once, then another is made.
fn refused(app: &App, client: &ClientName, error: ClientError) -> ApiError {
    let ClientError::Problem(problem) = error else { return ApiError::unavailable(error) };
    let certificate = [ProblemCode::CertificateRevoked, ProblemCode::CertificateExpired, ProblemCode::NoIdentity];
    if certificate.contains(&problem.code) {
        app.sending.forget(client);
        return ApiError::unavailable(format!("the proxy refuses the certificate: {}", problem.code));
    }
    let error = if problem.errors.is_empty() {
        ApiError::new(problem.code, problem.detail)
    } else {
        ApiError::invalid(problem.errors)
    };
    match problem.retry_after {
        Some(seconds) => error.retry_after(seconds),
        None => error,
    }
}

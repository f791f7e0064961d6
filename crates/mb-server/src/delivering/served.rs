//! A destination as it is served: its secrets opened, its breaker at hand.

use std::sync::atomic::{AtomicI64, Ordering};

use mb_api::dto::SecretText;
use mb_api::dto::delivery::Target;
use mb_core::{Breaker, DestinationKind, DestinationState, Secret, Timestamp};
use mb_crypto::CryptoError;
use mb_crypto::master::MasterKeys;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::DestinationRow;

/// A destination with what it needs to be served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) row: DestinationRow,
    secret: Option<Secret<String>>,
    /// Those before, until when each is good.
    previous: Vec<(Secret<String>, Timestamp)>,
    client_key: Option<Secret<String>>,
    /// Until when the breaker is open, or half open from then on, microseconds; [`CLOSED`] if it is closed.
    open_until: AtomicI64,
}

const CLOSED: i64 = i64::MIN;

/// Secrets that are good besides the present one, at most.
const SECRETS_BEFORE: u64 = 2;

/// What names a destination's row before it is written.
fn place(domain: &impl std::fmt::Display, name: &impl std::fmt::Display) -> String {
    format!("{domain}/{name}")
}

/// Seals what a destination's messages are signed with.
pub(crate) fn seal_secret(
    master: &MasterKeys,
    domain: &mb_core::DomainName,
    name: &mb_core::DestinationName,
    secret: &Secret<String>,
) -> Result<Vec<u8>, CryptoError> {
    sealed_value::seal(master, Purpose::WebhookSecret, &place(domain, name), secret.expose().as_bytes())
}

/// Seals the key of the certificate that is shown to a destination.
pub(crate) fn seal_identity(
    master: &MasterKeys,
    domain: &mb_core::DomainName,
    name: &mb_core::DestinationName,
    key: &Secret<String>,
) -> Result<Vec<u8>, CryptoError> {
    sealed_value::seal(master, Purpose::WebhookClientKey, &place(domain, name), key.expose().as_bytes())
}

impl Served {
    /// What does not open is left out: the worker finds that it cannot sign, and says so of every delivery.
    pub(super) fn open(row: DestinationRow, master: &MasterKeys) -> Self {
        let place = place(&row.route.domain, &row.route.name);
        let open = |purpose, sealed: &[u8]| {
            let opened = sealed_value::open(master, purpose, &place, sealed);
            if let Err(error) = &opened {
                tracing::error!(destination.id = %row.route.id, %error, "destination's secret does not open");
            }
            opened.ok().and_then(|bytes| std::str::from_utf8(&bytes).map(|text| Secret::new(text.to_owned())).ok())
        };
        let secret = row.secret.as_deref().and_then(|sealed| open(Purpose::WebhookSecret, sealed));
        let previous = row.previous_secret.iter().chain(&row.older_secret);
        let previous = previous.filter_map(|(sealed, until)| Some((open(Purpose::WebhookSecret, sealed)?, *until)));
        let previous = previous.collect();
        let identity = row.settings.identity.as_ref();
        let client_key = identity.and_then(|(_, sealed)| open(Purpose::WebhookClientKey, sealed));
        let served = Self { secret, previous, client_key, open_until: AtomicI64::new(CLOSED), row };
        served.turn(&served.row.breaker);
        served
    }

    /// Takes in how the breaker stands.
    pub(super) fn turn(&self, breaker: &Breaker) {
        self.open_until.store(breaker.open_until().map_or(CLOSED, Timestamp::micros), Ordering::Relaxed);
    }

    /// Whether anything is sent there.
    pub(crate) fn is_open(&self) -> bool {
        self.row.route.state == DestinationState::Enabled
    }

    /// Whether messages may be sent there as they come in.
    pub(crate) fn is_ready(&self) -> bool {
        let route = &self.row.route;
        route.kind == DestinationKind::Webhook
            && route.state == DestinationState::Enabled
            && self.open_until.load(Ordering::Relaxed) == CLOSED
    }

    /// Grows with every change, and when a secret is good no more, which nobody changes.
    pub(crate) fn version(&self, now: Timestamp) -> u64 {
        let ended = self.previous.iter().filter(|(_, until)| *until <= now).count() as u64;
        self.row.version * (SECRETS_BEFORE + 1) + ended
    }

    /// What a worker is told.
    pub(crate) fn target(&self, now: Timestamp) -> Target {
        let settings = &self.row.settings;
        let text = |secret: &Secret<String>| SecretText::new(secret.expose().clone());
        let overlap = self.previous.iter().filter(|(_, until)| *until > now);
        Target {
            id: self.row.route.id,
            version: self.version(now),
            url: settings.url.clone(),
            concurrency: settings.concurrency,
            rate: settings.rate,
            secrets: self.secret.iter().map(text).chain(overlap.map(|(secret, _)| text(secret))).collect(),
            ca: settings.ca.clone(),
            client_certificate: settings.identity.as_ref().map(|(certificate, _)| certificate.clone()),
            client_key: self.client_key.as_ref().map(text),
        }
    }
}

//! Mail: what is to be sent waits in the store, sealed, and is sent by a task of its own, so that no request ever waits
//! for a mail server.

mod letter;
pub(crate) mod sender;
mod transport;

use std::sync::{Mutex, PoisonError};

use mb_core::{Secret, Timestamp};
use mb_crypto::CryptoError;
use mb_crypto::master::MasterKeys;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::NewMail;

use crate::ServerError;
use transport::Transport;

/// How mail is sent.
#[derive(Clone, Debug, Default)]
pub struct MailConfig {
    /// The mail server; `None` switches mail off: what is to be sent waits, and is given up in the end.
    pub server: Option<SmtpServer>,
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub tls: SmtpTls,
    /// Account and password, if it asks for them.
    pub credentials: Option<(String, Secret<String>)>,
    /// From whom mails are, an address or `Name <address>`.
    pub from: String,
    /// CA certificates, PEM, to trust instead of the system's.
    pub ca_pem: Option<String>,
}

/// How a connection to a mail server is kept private.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpTls {
    /// STARTTLS (RFC 3207), required.
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// Not at all; for this machine's own mail server.
    None,
}

/// How sending goes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum MailState {
    /// Nothing is wrong: mails were taken, or none was to be sent.
    #[default]
    Fine,
    /// The last attempts failed.
    Failing {
        /// Since when.
        since: Timestamp,
        /// What the last attempt met.
        error: String,
    },
}

/// The way to the mail server and how it goes.
#[derive(Debug)]
pub(crate) struct Mailer {
    transport: Transport,
    state: Mutex<MailState>,
    taking: Mutex<Taking>,
}

/// Whether the mail server takes our mails at all, as far as it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Taking {
    /// It was not, or a recipient was refused since that may have been refused for itself.
    #[default]
    Unknown,
    /// It took the last one.
    Taken,
    /// It took some, and since then refused this recipient alone, once more.
    But(String),
}

impl Mailer {
    pub(crate) fn new(config: MailConfig) -> Result<Self, ServerError> {
        let transport = config.server.map_or(Ok(Transport::Off), |server| Transport::smtp(&server))?;
        Ok(Self { transport, state: Mutex::default(), taking: Mutex::default() })
    }

    /// Whether there is a mail server.
    pub(crate) const fn is_on(&self) -> bool {
        !matches!(self.transport, Transport::Off)
    }

    pub(crate) fn state(&self) -> MailState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a refusal that does not say what it is about is about its recipient: if it is not the mail's first, and others
    /// were taken in between. Who refuses one after the other, or never took any, refuses us.
    fn is_about(&self, recipient: &str, attempt: u64) -> bool {
        let mut taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let about = match &*taking {
            Taking::Unknown => false,
            Taking::Taken => attempt > 1,
            Taking::But(refused) => refused == recipient,
        };
        *taking = if about { Taking::But(recipient.to_owned()) } else { Taking::Unknown };
        about
    }

    fn succeeded(&self) {
        *self.taking.lock().unwrap_or_else(PoisonError::into_inner) = Taking::Taken;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = MailState::Fine;
    }

    fn failed(&self, now: Timestamp, error: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = if let MailState::Failing { since, .. } = &*state { *since } else { now };
        *state = MailState::Failing { since, error };
    }
}

/// A mail as it waits in the store, its text sealed for its recipient. It stays useful.
pub(crate) fn compose(master: &MasterKeys, to: &str, subject: &str, text: &str) -> Result<NewMail, CryptoError> {
    let body = sealed_value::seal(master, Purpose::MailBody, to, text.as_bytes())?;
    Ok(NewMail { to: to.to_owned(), subject: subject.to_owned(), body: body.into(), expires_at: None })
}

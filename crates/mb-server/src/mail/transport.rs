//! The way to a mail server, by SMTP (RFC 5321), command by command: what a refusal is about depends on what it answers.

use std::fmt;
use std::time::Duration;

use lettre::Message;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Severity;

use super::{SmtpServer, SmtpTls};
use crate::ServerError;

/// How long each step of a sending may take.
const STEP: Duration = Duration::from_secs(20);
/// How long a sending may take.
pub(super) const WHOLE: Duration = Duration::from_mins(1);

/// Where mail goes.
#[derive(Debug)]
pub(super) enum Transport {
    /// Nowhere.
    Off,
    /// To a mail server, as somebody.
    Smtp(Box<Smtp>),
}

pub(super) struct Smtp {
    address: (String, u16),
    hello: ClientId,
    tls: Option<(SmtpTls, TlsParameters)>,
    credentials: Option<Credentials>,
    from: Mailbox,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("address", &self.address).field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why a mail was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// It may be taken later.
    Passing(String),
    /// Its recipient was refused for good, in words that may mean us too.
    Recipient(String),
    /// This mail will never be taken; others may.
    Lasting(String),
}

impl Transport {
    pub(super) fn smtp(server: &SmtpServer) -> Result<Self, ServerError> {
        let from = server.from.parse::<Mailbox>().map_err(|_| ServerError::Mail("mail.from is no address"))?;
        let tls = match server.tls {
            SmtpTls::None => None,
            tls => Some((tls, parameters(server)?)),
        };
        let credentials = server.credentials.as_ref();
        let credentials = credentials.map(|(user, password)| Credentials::new(user.clone(), password.expose().clone()));
        let hello = ClientId::Domain(from.email.domain().to_owned());
        Ok(Self::Smtp(Box::new(Smtp { address: (server.host.clone(), server.port), hello, tls, credentials, from })))
    }

    /// From whom mails are; `None` if there is no mail server.
    pub(super) fn from(&self) -> Option<&Mailbox> {
        match self {
            Self::Off => None,
            Self::Smtp(smtp) => Some(&smtp.from),
        }
    }

    /// Sends one mail.
    pub(super) async fn send(&self, mail: Message) -> Result<(), Failure> {
        let Self::Smtp(smtp) = self else { return Err(Failure::Passing("mail is off: SMTP_HOST is not set".into())) };
        match tokio::time::timeout(WHOLE, smtp.send(&mail)).await {
            Ok(sent) => sent,
            Err(_) => Err(Failure::Passing(format!("the mail server took over {} s", WHOLE.as_secs()))),
        }
    }
}

impl Smtp {
    async fn send(&self, mail: &Message) -> Result<(), Failure> {
        let mut connection = self.connect().await.map_err(|error| passing(&error))?;
        let sent = self.transmit(&mut connection, mail).await;
        // What the goodbye is answered changes nothing.
        connection.abort().await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let address = (self.address.0.as_str(), self.address.1);
        let implicit = self.tls.as_ref().filter(|(tls, _)| *tls == SmtpTls::Implicit);
        let implicit = implicit.map(|(_, parameters)| parameters.clone());
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(STEP), &self.hello, implicit, None).await?;
        if let Some((SmtpTls::StartTls, parameters)) = &self.tls {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// A sender that is refused is us, whatever the number says.
    async fn transmit(&self, connection: &mut AsyncSmtpConnection, mail: &Message) -> Result<(), Failure> {
        let (envelope, text) = (mail.envelope(), mail.formatted());
        let takes = |extension| connection.server_info().supports_feature(extension);
        let mut options = Vec::new();
        if !envelope.from().into_iter().chain(envelope.to()).all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !takes(Extension::SmtpUtfEight) {
                return Err(Failure::Lasting("the mail server takes ASCII addresses only".to_owned()));
            }
            options.push(MailParameter::SmtpUtfEight);
        }
        if !text.is_ascii() {
            if !takes(Extension::EightBitMime) {
                return Err(Failure::Passing("the mail server takes no 8-bit text".to_owned()));
            }
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = Mail::new(envelope.from().cloned(), options);
        connection.command(from).await.map_err(|error| passing(&error))?;
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(|error| judge(&error))?;
        }
        connection.command(Data).await.map_err(|error| judge(&error))?;
        connection.message(&text).await.map_err(|error| judge(&error))?;
        Ok(())
    }
}

fn parameters(server: &SmtpServer) -> Result<TlsParameters, ServerError> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.ca_pem {
        let certificate = Certificate::from_pem(pem.as_bytes());
        let certificate = certificate.map_err(|_| ServerError::Mail("mail.ca is no certificate"))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|_| ServerError::Mail("mail.host is no name that a certificate can have"))
}

fn passing(error: &Error) -> Failure {
    Failure::Passing(with_sources(error))
}

/// Of the permanent replies only those about this mail or its recipient are final (RFC 5321, section 4.2.3: 550 to 554);
/// others are for somebody to put right. Many servers say only here that they do not want us: their enhanced code (RFC
/// 3463, and RFC 7505 for `x.1.10`) tells policy (`x.7`) and the sender's address (`x.1.7`, `x.1.8`) from the recipient's
/// address and mailbox. Where there is none, or one of an address without a word whose (`x.1.0`), other mails have to tell.
fn judge(error: &Error) -> Failure {
    let text = with_sources(error);
    let code = error.status();
    let about_mail = code.is_some_and(|code| {
        code.severity == Severity::PermanentNegativeCompletion && (550..=554).contains(&u16::from(code))
    });
    let reply = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match enhanced(&reply) {
        _ if !about_mail => Failure::Passing(text),
        Some((7, _) | (1, 7 | 8)) => Failure::Passing(text),
        Some((1, 1 | 2 | 3 | 6 | 10) | (2, _)) => Failure::Lasting(text),
        _ => Failure::Recipient(text),
    }
}

/// Subject and detail of a permanent reply's enhanced code.
fn enhanced(reply: &str) -> Option<(u16, u16)> {
    let mut parts = reply.split_ascii_whitespace().next()?.split('.');
    let code = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    if code.0 == "5" && parts.next().is_none() { Some((code.1, code.2)) } else { None }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let source_text = source.to_string();
        if !text.contains(&source_text) {
            text = format!("{text}: {source_text}");
        }
        next = source.source();
    }
    // A reply is whatever the other side says.
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enhanced_code_of_a_reply_is_read_if_it_has_one() {
        for (reply, code) in [
            ("5.1.1 no such user", Some((1, 1))),
            ("5.7.1 <a@x>: Relay access denied", Some((7, 1))),
            ("no such user", None),
            ("4.2.2 full", None),
            ("5.1 x", None),
            ("5.1.1.1 x", None),
            ("", None),
        ] {
            assert_eq!(enhanced(reply), code, "{reply}");
        }
    }
}

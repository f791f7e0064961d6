//! The way to a mail server, by SMTP (RFC 5321).

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

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

#[derive(Debug)]
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why a mail was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// It may be taken later.
    Passing(String),
    /// This mail will never be taken; others may.
    Lasting(String),
}

impl Transport {
    pub(super) fn smtp(server: &SmtpServer) -> Result<Self, ServerError> {
        let from = server.from.parse::<Mailbox>().map_err(|_| ServerError::Mail("mail.from is no address"))?;
        let tls = match server.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::StartTls => Tls::Required(parameters(server)?),
            SmtpTls::Implicit => Tls::Wrapper(parameters(server)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(STEP))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((user, password)) = &server.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(Self::Smtp(Box::new(Smtp { transport: builder.build(), from })))
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
        match tokio::time::timeout(WHOLE, smtp.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judge(&error)),
            Err(_) => Err(Failure::Passing(format!("the mail server took over {} s", WHOLE.as_secs()))),
        }
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

/// Of the permanent replies only those about this mail or its recipient are final (RFC 5321, section 4.2.3: 550 to 554);
/// others - a refused password, a refused client - are for somebody to put right.
fn judge(error: &lettre::transport::smtp::Error) -> Failure {
    let code = error.status();
    let about_mail = code.is_some_and(|code| {
        code.severity == Severity::PermanentNegativeCompletion && (550..=554).contains(&u16::from(code))
    });
    let text = with_sources(error);
    if about_mail { Failure::Lasting(text) } else { Failure::Passing(text) }
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

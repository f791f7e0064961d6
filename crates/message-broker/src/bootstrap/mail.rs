//! From the configuration to the mail server's settings.

use anyhow::{Context, Result};
use mb_core::Secret;
use mb_server::{MailConfig, SmtpServer, SmtpTls};

use crate::config::{MailTls, Resolved};
use crate::layout::{Layout, read_text};

/// The port on which TLS begins with the first byte (RFC 8314, section 3.3).
const IMPLICIT: u16 = 465;

pub(super) fn settings(layout: &Layout, resolved: &Resolved) -> Result<MailConfig> {
    let mail = &resolved.config.mail;
    if mail.host.is_empty() {
        return Ok(MailConfig { server: None });
    }
    let tls = match mail.tls {
        MailTls::Auto if mail.port == IMPLICIT => SmtpTls::Implicit,
        MailTls::Auto | MailTls::StartTls => SmtpTls::StartTls,
        MailTls::Implicit => SmtpTls::Implicit,
        MailTls::None => SmtpTls::None,
    };
    let password = resolved.secret("SMTP_PASSWORD")?.unwrap_or_else(|| Secret::new(String::new()));
    let ca = (!mail.ca.is_empty()).then(|| read_text(&layout.root().join(&mail.ca)).context("read mail.ca"));
    let server = SmtpServer {
        host: mail.host.clone(),
        port: mail.port,
        tls,
        credentials: (!mail.user.is_empty()).then(|| (mail.user.clone(), password)),
        from: mail.from.clone(),
        ca_pem: ca.transpose()?,
    };
    Ok(MailConfig { server: Some(server) })
}

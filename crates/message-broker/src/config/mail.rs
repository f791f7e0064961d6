//! `[mail]`: the mail server, if there is one.

use std::net::IpAddr;

use anyhow::{Result, bail};
use serde::Deserialize;

/// `[mail]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server; empty: mail is off.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub tls: MailTls,
    /// The account; empty: none.
    pub user: String,
    /// From whom mails are.
    pub from: String,
    /// A file of CA certificates; empty: the system's.
    pub ca: String,
}

/// How a connection to the mail server is kept private.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// TLS from the first byte on port 465, else STARTTLS.
    Auto,
    /// STARTTLS.
    #[serde(rename = "starttls")]
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all.
    None,
}

impl Mail {
    pub(super) fn check(&self) -> Result<()> {
        if self.host.is_empty() {
            return Ok(());
        }
        if !self.from.contains('@') {
            bail!("mail.from (SMTP_FROM) must be an address: a mail server is set, and mails are from somebody");
        }
        if self.tls == MailTls::None && !self.is_local() {
            bail!(
                "mail.tls is none, which would send passwords and reset links over the network in the clear: use auto"
            );
        }
        Ok(())
    }

    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn mail_needs_a_sender_and_is_in_the_clear_on_this_machine_alone() {
        assert!(load("", &[]).expect("off").config.mail.host.is_empty());
        let full = [("SMTP_HOST", "mail.example.org"), ("SMTP_FROM", "broker@example.org"), ("SMTP_PORT", "465")];
        assert_eq!(load("", &full).expect("valid").config.mail.port, 465);
        let error = |toml: &str, env: &[(&str, &str)]| format!("{:#}", load(toml, env).expect_err("refused"));
        assert!(error("", &full[..1]).contains("mail.from"));
        assert!(error("[mail]\ntls = \"none\"", &full).contains("mail.tls"));
        let local = [("SMTP_HOST", "127.0.0.1"), full[1], ("MB_MAIL__TLS", "none")];
        assert!(load("", &local).is_ok());
    }
}

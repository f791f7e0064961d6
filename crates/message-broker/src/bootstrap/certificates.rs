//! The certificates of this machine's components and of the client `demo`: issued where none can be used.
//!
//! A certificate that is expired, revoked, of another CA or without its key would only fail later and less clearly, so it
//! counts as missing.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use mb_core::{Clock, Role, Secret};
use mb_crypto::{TrustAnchors, identity};
use mb_server::Authority;
use mb_server::authority::Order;
use mb_store::Store;
use rustls_pki_types::DnsName;

use super::ACTOR;
use crate::config::Config;
use crate::layout::{COMPONENTS, KeyPair, Layout, check_file, read_secret, read_text};
use crate::wiring::renewal_due;

/// The client that a first start makes, for trying things out.
pub const DEMO: &str = "demo";

/// Issues the certificates of components that have none that can be used, or one that nears its end.
///
/// # Errors
/// The store or a file cannot be read or written.
pub async fn component_certificates(
    layout: &Layout,
    config: &Config,
    authority: &Authority,
    store: &Store,
    clock: &Clock,
) -> Result<()> {
    let judge = Judge::new(authority, store, clock)?;
    let validity = Some(Duration::from_secs(config.pki.component_validity));
    for role in COMPONENTS {
        let (certificate, key) = layout.component(role.as_str());
        if judge.usable(&certificate, &key, role.as_str(), role).await? {
            continue;
        }
        let sans = given_names(&certificate, role);
        issue(layout, authority, Order { name: role.as_str().to_owned(), role, domain: None, sans, validity }).await?;
    }
    Ok(())
}

/// Issues a certificate for the client `demo`, if it has none that can be used.
///
/// # Errors
/// The store or a file cannot be read or written.
pub async fn demo_client(layout: &Layout, authority: &Authority, store: &Store, clock: &Clock) -> Result<()> {
    let folder = layout.client(DEMO);
    let judge = Judge::new(authority, store, clock)?;
    if judge.usable(&folder.join("demo.crt"), &folder.join("demo.key"), DEMO, Role::Client).await? {
        return Ok(());
    }
    // None given = the client's own, which an operator may have chosen.
    let order = Order { name: DEMO.to_owned(), role: Role::Client, domain: None, sans: Vec::new(), validity: None };
    issue(layout, authority, order).await
}

/// What certificates on disk are held against.
#[derive(Debug)]
struct Judge<'a> {
    ca_pem: String,
    own_names: &'a [String],
    anchors: TrustAnchors,
    store: &'a Store,
    clock: &'a Clock,
}

impl<'a> Judge<'a> {
    fn new(authority: &'a Authority, store: &'a Store, clock: &'a Clock) -> Result<Self> {
        let ca_pem = authority.ca_pem();
        let anchors = TrustAnchors::from_pem(&ca_pem).context("read ca.crt")?;
        Ok(Self { ca_pem, own_names: authority.own_names(), anchors, store, clock })
    }

    /// Whether the pair of files can be used; says in the log why not. A file that cannot be read at all is an error.
    async fn usable(&self, certificate: &Path, key: &Path, name: &str, role: Role) -> Result<bool> {
        let files = (certificate.to_owned(), key.to_owned());
        // A disk that does not answer holds up this alone.
        let reading = tokio::task::spawn_blocking(move || present(&files.0, &files.1));
        let Some((chain, secret)) = reading.await.context("read a certificate")?? else { return Ok(false) };
        let unusable = match self.sound(&chain, secret.expose(), name, role) {
            Ok((issuer, serial)) => {
                let row = self.store.certificate(&issuer, &serial).await.context("look up a certificate")?;
                row.is_some_and(|row| row.revocation.is_some()).then(|| "it was revoked".to_owned())
            }
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(reason) = &unusable {
            tracing::info!(file = %certificate.display(), reason, "certificate is issued anew");
        }
        Ok(unusable.is_none())
    }

    /// Issuer and serial number of a certificate that is sound in itself.
    fn sound(&self, chain: &str, key: &str, name: &str, role: Role) -> Result<([u8; 16], Vec<u8>)> {
        let identity = self.anchors.verify(&mb_crypto::pem::certificates(chain)?, self.clock.now())?;
        anyhow::ensure!(identity.role == role && identity.name == name, "it is another's");
        anyhow::ensure!(role.has_domain() || !renewal_due(&identity, self.clock), "two thirds of its life are over");
        if role.serves() {
            let names = identity::alternative_names(chain)?;
            let lacking = self.own_names.iter().find(|own| !names.iter().any(|name| same_name(name, own)));
            anyhow::ensure!(lacking.is_none(), "it does not carry the name {}", lacking.map_or("", String::as_str));
        }
        mb_crypto::tls::client_config(Some((chain, key)), &self.ca_pem, &[])?;
        Ok((identity.issuer, identity.serial))
    }
}

/// A certificate and its key, if both are there.
fn present(certificate: &Path, key: &Path) -> Result<Option<(String, Secret<String>)>> {
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    check_file(certificate)?;
    check_file(key)?;
    Ok(Some((read_text(certificate)?, read_secret(key)?)))
}

/// What else the certificate that is replaced was issued for: an operator may have added names.
fn given_names(certificate: &Path, role: Role) -> Vec<String> {
    if !role.serves() || !certificate.exists() {
        return Vec::new();
    }
    read_text(certificate).ok().and_then(|pem| identity::alternative_names(&pem).ok()).unwrap_or_default()
}

/// Host names compare without case; an address may be written in several ways.
fn same_name(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

async fn issue(layout: &Layout, authority: &Authority, order: Order) -> Result<()> {
    let (name, role) = (order.name.clone(), order.role);
    let issued = authority.issue(order, ACTOR).await.with_context(|| format!("issue the certificate of {name}"))?;
    layout.write(&KeyPair {
        name: &name,
        role,
        certificate: &issued.certificate_pem,
        private_key: &issued.private_key_pem,
        ca_certificate: &authority.ca_pem(),
        fingerprint: &issued.identity.fingerprint,
    })?;
    Ok(())
}

/// This machine's name, if a certificate can carry it.
pub(crate) fn host_name() -> Option<String> {
    let name = if cfg!(windows) {
        crate::config::environment("COMPUTERNAME")
    } else {
        std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok()
    };
    name.and_then(|name| dns_name(&name))
}

fn dns_name(text: &str) -> Option<String> {
    let name = text.trim().to_lowercase();
    DnsName::try_from(name.as_str()).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{dns_name, same_name};

    #[test]
    fn a_host_name_that_no_certificate_can_carry_is_left_out() {
        for good in ["box-1", "Box.Example.org\n"] {
            assert_eq!(dns_name(good), Some(good.trim().to_lowercase()));
        }
        for bad in ["", "12345", "10.0.0.1", "box-", "a b", "bücher", &"a".repeat(64)] {
            assert_eq!(dns_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_is_the_same_however_it_is_written() {
        for (one, other) in [("Box.Example", "box.example"), ("2001:db8::1", "2001:DB8:0:0:0:0:0:1")] {
            assert!(same_name(one, other), "{one}");
        }
        assert!(!same_name("box.example", "*.example"));
    }
}

//! TLS configurations (contract, section 1; design, section 7).
//!
//! A listener asks for a client certificate and never requires one: whoever has none is anonymous and is answered 401 as
//! HTTP. The handshake checks chain, time and extended key usage; revocation, role and suspension are checked on every
//! request against the live policy. For that to hold, no connection may begin without the verifier: there are no session
//! tickets, no stored sessions, no early data.

mod main_server;
mod revoked;
mod unverified;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier,
};

use crate::{CryptoError, pem};

pub use main_server::{main_server_client_config, proxy_client_config};
pub use revoked::RevokedSet;
pub use unverified::unverified_client_config;

/// TLS 1.2 is the floor (RFC 8996 ends 1.0 and 1.1).
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// HTTP over one port, by ALPN (RFC 7301; the names are of RFC 9113, section 3.2 and RFC 7301, section 6).
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A listener that asks for client certificates issued under `ca_pem`.
///
/// # Errors
/// [`CryptoError::Malformed`] if a part is broken or the key is not the certificate's.
pub fn server_config(chain_pem: &str, key_pem: &str, ca_pem: &str) -> Result<ServerConfig, CryptoError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| CryptoError::malformed("CA certificate", error))?;
    let builder = server_builder()?.with_client_cert_verifier(verifier);
    finish_server(builder, chain_pem, key_pem)
}

/// A listener for browsers: asks for no client certificate, because a browser would ask its user.
///
/// # Errors
/// As [`server_config`].
pub fn public_server_config(chain_pem: &str, key_pem: &str) -> Result<ServerConfig, CryptoError> {
    finish_server(server_builder()?.with_no_client_auth(), chain_pem, key_pem)
}

/// A caller that trusts servers under `ca_pem` and shows `identity`, a chain and its key, where there is one. `alpn` is
/// left empty for clients that set it themselves.
///
/// # Errors
/// As [`server_config`].
pub fn client_config(
    identity: Option<(&str, &str)>,
    ca_pem: &str,
    alpn: &[&[u8]],
) -> Result<ClientConfig, CryptoError> {
    trusting(roots(ca_pem)?, identity, alpn)
}

/// The same for a caller of servers that may show a certificate of another authority: those that this machine trusts count
/// as well.
///
/// # Errors
/// As [`server_config`].
pub fn public_client_config(identity: (&str, &str), ca_pem: &str) -> Result<ClientConfig, CryptoError> {
    let mut trusted = system_roots();
    trusted.extend(roots(ca_pem)?.roots);
    trusting(trusted, Some(identity), &[])
}

fn trusting(
    trusted: RootCertStore,
    identity: Option<(&str, &str)>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, CryptoError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| CryptoError::Library("set up TLS"))?
        .with_root_certificates(trusted);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain_pem, key_pem)) => builder
            .with_client_auth_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?.clone_key())
            .map_err(|error| CryptoError::malformed("certificate and key", error))?,
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The certificates that this machine trusts, for callers of servers that are not ours. What cannot be read is left out.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// A caller of a webhook: trusts `ca_pem` alone if there is one, else `system`, and shows `identity`, a chain and its
/// key, where there is one. Speaks HTTP/1.1.
///
/// # Errors
/// As [`server_config`].
pub fn webhook_config(
    system: &Arc<RootCertStore>,
    ca_pem: Option<&str>,
    identity: Option<(&str, &str)>,
) -> Result<ClientConfig, CryptoError> {
    let trusted = ca_pem.map_or_else(|| Ok(Arc::clone(system)), |pem| roots(pem).map(Arc::new))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| CryptoError::Library("set up TLS"))?
        .with_root_certificates(trusted);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain_pem, key_pem)) => builder
            .with_client_auth_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?.clone_key())
            .map_err(|error| CryptoError::malformed("certificate and key", error))?,
    };
    config.alpn_protocols = vec![HTTP[1].to_vec()];
    Ok(config)
}

/// A listener's configuration that can be replaced while it runs: each handshake takes the present one, and open
/// connections keep theirs.
#[derive(Debug)]
pub struct ReloadableServerConfig(ArcSwap<ServerConfig>);

impl ReloadableServerConfig {
    /// Starts with `config`.
    pub fn new(config: ServerConfig) -> Self {
        Self(ArcSwap::from_pointee(config))
    }

    /// The configuration for the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }

    /// Replaces it.
    pub fn replace(&self, config: ServerConfig) {
        self.0.store(Arc::new(config));
    }
}

/// The library's choice, with AES-128 before AES-256: equally out of reach, and its key schedule uses SHA-256, for which
/// processors have instructions, so that a handshake costs a tenth less.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        suite if suite.as_str().is_some_and(|name| name.starts_with("TLS13_")) => 1,
        _ => 2,
    });
    Arc::new(provider)
}

fn roots(ca_pem: &str) -> Result<RootCertStore, CryptoError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(ca_pem)? {
        roots.add(certificate).map_err(|error| CryptoError::malformed("CA certificate", error))?;
    }
    Ok(roots)
}

fn server_builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, CryptoError> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| CryptoError::Library("set up TLS"))
}

fn finish_server(
    builder: ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    chain_pem: &str,
    key_pem: &str,
) -> Result<ServerConfig, CryptoError> {
    let mut config = builder
        .with_single_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?.clone_key())
        .map_err(|error| CryptoError::malformed("certificate and key", error))?;
    config.alpn_protocols = HTTP.iter().map(|name| name.to_vec()).collect();
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

#[cfg(test)]
mod tests;

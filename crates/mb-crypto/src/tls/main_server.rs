//! Callers of the main server and of proxies. All who serve have certificates of one authority and share their machine's
//! names, so chain and name alone would let any of them be taken for another: the proxy, which faces the internet, could hand
//! out policies and collect tokens and passwords, and a portal messages. Here the certificate's role counts as well, and of
//! the main server whether it was revoked.

use std::fmt;
use std::sync::Arc;

use mb_core::{Identity, Role};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{RevokedSet, VERSIONS, provider, roots};
use crate::{CryptoError, identity, pem};

/// A caller that takes for the main server whoever has a certificate of that role under `ca_pem` that is not among
/// `revoked`, and shows `identity`, a chain and its key, where there is one.
///
/// # Errors
/// As [`super::server_config`].
pub fn main_server_client_config(
    identity: Option<(&str, &str)>,
    ca_pem: &str,
    revoked: &RevokedSet,
) -> Result<ClientConfig, CryptoError> {
    callers_config(identity, ca_pem, Whom::MainServer(revoked.clone()))
}

/// A caller that takes for a proxy whoever has a certificate of that role under `ca_pem`, or one that names no role: a
/// certificate of one's own for the public side, of the authority that was named.
///
/// # Errors
/// As [`super::server_config`].
pub fn proxy_client_config(
    identity: Option<(&str, &str)>,
    ca_pem: &str,
    alpn: &[&[u8]],
) -> Result<ClientConfig, CryptoError> {
    let mut config = callers_config(identity, ca_pem, Whom::Proxy)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

fn callers_config(identity: Option<(&str, &str)>, ca_pem: &str, whom: Whom) -> Result<ClientConfig, CryptoError> {
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider())
        .build()
        .map_err(|error| CryptoError::malformed("CA certificate", error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| CryptoError::Library("set up TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { chain, whom }));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain_pem, key_pem)) => builder
            .with_client_auth_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?.clone_key())
            .map_err(|error| CryptoError::malformed("certificate and key", error))?,
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Checks all that is usual, and then whose the certificate is.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    whom: Whom,
}

/// Who is called.
#[derive(Debug)]
enum Whom {
    MainServer(RevokedSet),
    Proxy,
}

impl Whom {
    /// Whether it is who shows this certificate, which names `identity` if it is one of this system.
    fn accept(&self, identity: Option<&Identity>) -> Result<(), Error> {
        let another = |error: Another| Err(CertificateError::Other(OtherError(Arc::new(error))).into());
        match (self, identity) {
            (Self::MainServer(revoked), Some(identity)) if identity.role == Role::Server => {
                if revoked.contains(identity) { Err(CertificateError::Revoked.into()) } else { Ok(()) }
            }
            (Self::MainServer(_), _) => another(Another("the main server's")),
            (Self::Proxy, None) => Ok(()),
            (Self::Proxy, Some(identity)) if identity.role == Role::Proxy => Ok(()),
            (Self::Proxy, Some(_)) => another(Another("a proxy's")),
        }
    }
}

#[derive(thiserror::Error)]
#[error("the certificate there is not {0}")]
struct Another(&'static str);

/// `rustls` shows the refusal of a verifier by this.
impl fmt::Debug for Another {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.whom.accept(identity::from_der(end_entity).ok().as_ref())?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

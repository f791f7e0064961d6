//! A caller of the main server. All who serve have certificates of one authority and share their machine's names, so chain
//! and name alone would let any of them be taken for the main server: the proxy, which faces the internet, could hand out
//! policies and collect tokens and passwords. Here the certificate's role counts as well.

use std::fmt;
use std::sync::Arc;

use mb_core::Role;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{VERSIONS, provider, roots};
use crate::{CryptoError, identity, pem};

/// A caller that takes for the main server whoever has a certificate of that role under `ca_pem`, and shows `identity`, a
/// chain and its key, where there is one.
///
/// # Errors
/// As [`super::server_config`].
pub fn main_server_client_config(identity: Option<(&str, &str)>, ca_pem: &str) -> Result<ClientConfig, CryptoError> {
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider())
        .build()
        .map_err(|error| CryptoError::malformed("CA certificate", error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| CryptoError::Library("set up TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(MainServer(chain)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain_pem, key_pem)) => builder
            .with_client_auth_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?.clone_key())
            .map_err(|error| CryptoError::malformed("certificate and key", error))?,
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Checks all that is usual, and then the role.
#[derive(Debug)]
struct MainServer(Arc<WebPkiServerVerifier>);

#[derive(thiserror::Error)]
#[error("the certificate there is not the main server's")]
struct NotTheMainServer;

/// `rustls` shows the refusal of a verifier by this.
impl fmt::Debug for NotTheMainServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ServerCertVerifier for MainServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        match identity::from_der(end_entity) {
            Ok(identity) if identity.role == Role::Server => Ok(verified),
            _ => Err(CertificateError::Other(OtherError(Arc::new(NotTheMainServer))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

//! The CAs that are trusted, and what a chain under them proves at a given time.
//!
//! The time is a parameter because a data key is judged at the moment it was signed, not when its messages arrive
//! (design, section 6). Revocation is not judged here: the live policy does that, on every request.

use std::time::Duration;

use mb_core::{Identity, Role, Timestamp};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::digest::{head, sha256};
use crate::{CryptoError, identity, pem};

/// Parsed CA certificates.
#[derive(Clone, Debug)]
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
}

/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1 (RFC 5280, section 4.2.1.12), as the content of its DER encoding.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];

/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

impl TrustAnchors {
    /// Reads a bundle of CA certificates in PEM; at least one.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if there is none or one is broken.
    pub fn from_pem(ca_pem: &str) -> Result<Self, CryptoError> {
        let anchors = pem::certificates(ca_pem)?
            .iter()
            .map(|certificate| {
                anchor_from_trusted_cert(certificate)
                    .map(|anchor| anchor.to_owned())
                    .map_err(|error| CryptoError::malformed("CA certificate", error))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { anchors })
    }

    /// Verifies a chain, leaf first, as it stood at `at`, and says whom it names. Checks signatures, validity, CA
    /// constraints, and that the extended key usage fits the role; not revocation.
    ///
    /// # Errors
    /// [`CryptoError::OutsideValidity`], [`CryptoError::Untrusted`], or [`CryptoError::Malformed`] for what is no
    /// certificate of this system.
    pub fn verify(&self, chain: &[CertificateDer<'_>], at: Timestamp) -> Result<Identity, CryptoError> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(CryptoError::malformed("certificate", "the chain is empty"));
        };
        let end_entity = EndEntityCert::try_from(leaf).map_err(untrusted)?;
        let identity = identity::from_der(leaf)?;
        let path = end_entity
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.anchors,
                intermediates,
                unix_time(at),
                KeyUsage::required(purpose(identity.role)),
                None,
                None,
            )
            .map_err(untrusted)?;
        if head(&sha256(&[path.issuer_spki().as_ref()])) != identity.issuer {
            return Err(CryptoError::Untrusted("its authority key identifier is not its issuer's".into()));
        }
        Ok(identity)
    }
}

fn purpose(role: Role) -> &'static [u8] {
    if role.calls() { CLIENT_AUTH } else { SERVER_AUTH }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0)))
}

fn untrusted(error: webpki::Error) -> CryptoError {
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => CryptoError::OutsideValidity,
        other => CryptoError::Untrusted(other.to_string()),
    }
}

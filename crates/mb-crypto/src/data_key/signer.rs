//! Who made a data key: the proxy's signature over the record, and its check at the main server.
//!
//! Made by the key of the proxy's certificate over [`SignedKey::signed_bytes`] (see [`crate::signature`] for the form).

use mb_core::envelope::SignedKey;
use mb_core::{Identity, Role, Timestamp};

use crate::signature::{CertificateKey, Signed};
use crate::{CryptoError, TrustAnchors};

const SEPARATOR: &[u8] = b"mb-data-key-1\0";

/// A proxy's certificate and its key.
pub struct Signer(CertificateKey);

impl Signer {
    /// Takes the first certificate of the chain and its key.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if a part is broken, no P-256 key, or they do not belong together;
    /// [`CryptoError::WrongRole`] if no main server would take keys from it.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        CertificateKey::from_pem(chain_pem, key_pem)?.of_role(Role::Proxy).map(Self)
    }

    #[cfg(test)]
    pub(super) fn of_any_role(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        CertificateKey::from_pem(chain_pem, key_pem).map(Self)
    }

    /// Whose certificate it is.
    pub fn identity(&self) -> &Identity {
        self.0.identity()
    }

    /// When a key that is made at `now` says it was signed. A clock that was set back to before the certificate began must
    /// not make keys that no main server ever takes, so it is no earlier than that.
    ///
    /// # Errors
    /// [`CryptoError::OutsideValidity`] if the certificate has expired.
    pub fn signing_time(&self, now: Timestamp) -> Result<Timestamp, CryptoError> {
        let identity = self.identity();
        if now > identity.not_after { Err(CryptoError::OutsideValidity) } else { Ok(now.max(identity.not_before)) }
    }

    pub(super) fn certificate(&self) -> &[u8] {
        self.0.certificate()
    }

    pub(super) fn sign(&self, record: &SignedKey) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(SEPARATOR, &record.signed_bytes())
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("identity", self.identity()).finish_non_exhaustive()
    }
}

/// Says which proxy made a data key: its certificate chains to a trusted CA, was valid when it signed, is of role proxy,
/// and the signature is its own. Whether it was revoked since is the caller's to decide.
///
/// # Errors
/// [`CryptoError::Malformed`], [`CryptoError::OutsideValidity`], [`CryptoError::Untrusted`], [`CryptoError::WrongRole`],
/// or [`CryptoError::Forged`]: whichever it is, the key and all that it seals must be refused.
pub fn verify_signer(record: &SignedKey, anchors: &TrustAnchors) -> Result<Identity, CryptoError> {
    let signed = Signed {
        certificate: &record.certificate,
        at: record.created_at,
        separator: SEPARATOR,
        bytes: &record.signed_bytes(),
        signature: &record.signature,
    };
    signed.verify(Role::Proxy, anchors)
}

//! Who made a data key: the proxy's signature over the record, and its check at the main server.
//!
//! ECDSA P-256 with SHA-256, ASN.1 (X9.62), by the key of the proxy's certificate, over a domain separator and
//! [`SignedKey::signed_bytes`]. The separator keeps a signature made in a TLS handshake from being one over a key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use mb_core::envelope::SignedKey;
use mb_core::{Identity, Role};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;
use webpki::aws_lc_rs::ECDSA_P256_SHA256;

use crate::{CryptoError, TrustAnchors, identity, pem};

const SEPARATOR: &[u8] = b"mb-data-key-1\0";

/// A proxy's certificate and its key.
pub struct Signer {
    certificate: CertificateDer<'static>,
    key: EcdsaKeyPair,
    identity: Identity,
}

impl Signer {
    /// Takes the first certificate of the chain and its key.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if a part is broken, no P-256 key, or they do not belong together;
    /// [`CryptoError::WrongRole`] if no main server would take keys from it.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        let signer = Self::of_any_role(chain_pem, key_pem)?;
        if signer.identity.role != Role::Proxy {
            return Err(CryptoError::WrongRole(signer.identity.role));
        }
        Ok(signer)
    }

    pub(super) fn of_any_role(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        let certificate = pem::certificates(chain_pem)?.swap_remove(0);
        let identity = identity::from_der(&certificate)?;
        let key = ecdsa(&*pem::private_key(key_pem)?)?;
        if !belongs(&certificate, &key) {
            return Err(CryptoError::malformed("private key", "it is another certificate's"));
        }
        Ok(Self { certificate, key, identity })
    }

    /// Whose certificate it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn sign(&self, record: &SignedKey) -> Result<Vec<u8>, CryptoError> {
        self.key
            .sign(&SystemRandom::new(), &to_sign(record))
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| CryptoError::Library("sign a data key"))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Says which proxy made a data key: its certificate chains to a trusted CA, was valid when it signed, is of role proxy,
/// and the signature is its own. Whether it was revoked since is the caller's to decide.
///
/// # Errors
/// [`CryptoError::Malformed`], [`CryptoError::OutsideValidity`], [`CryptoError::Untrusted`], [`CryptoError::WrongRole`],
/// or [`CryptoError::Forged`]: whichever it is, the key and all that it seals must be refused.
pub fn verify_signer(record: &SignedKey, anchors: &TrustAnchors) -> Result<Identity, CryptoError> {
    let certificate = CertificateDer::from(&record.certificate[..]);
    let identity = anchors.verify(std::slice::from_ref(&certificate), record.created_at)?;
    if identity.role != Role::Proxy {
        return Err(CryptoError::WrongRole(identity.role));
    }
    EndEntityCert::try_from(&certificate)
        .and_then(|end_entity| end_entity.verify_signature(ECDSA_P256_SHA256, &to_sign(record), &record.signature))
        .map_err(|_| CryptoError::Forged)?;
    Ok(identity)
}

fn to_sign(record: &SignedKey) -> Vec<u8> {
    [SEPARATOR, &record.signed_bytes()].concat()
}

fn ecdsa(key: &PrivateKeyDer<'_>) -> Result<EcdsaKeyPair, CryptoError> {
    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, key.secret_der())
        .map_err(|_| CryptoError::malformed("private key", "it is no ECDSA P-256 key"))
}

/// The uncompressed point at the end of a P-256 `SubjectPublicKeyInfo` (RFC 5480, section 2) is the whole public key.
fn belongs(certificate: &CertificateDer<'_>, key: &EcdsaKeyPair) -> bool {
    EndEntityCert::try_from(certificate)
        .is_ok_and(|leaf| leaf.subject_public_key_info().as_ref().ends_with(key.public_key().as_ref()))
}

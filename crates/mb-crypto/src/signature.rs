//! Signatures by the key of a component's certificate, which is enclosed so that whoever trusts the CA can check them.
//!
//! ECDSA P-256 with SHA-256, ASN.1 (X9.62), over a separator and the bytes. The separator says what is signed: it keeps a
//! signature made in a TLS handshake, or over another kind of record, from passing for this one.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use mb_core::{Identity, Role, Timestamp};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;
use webpki::aws_lc_rs::ECDSA_P256_SHA256;

use crate::{CryptoError, TrustAnchors, identity, pem};

/// A certificate and its key.
pub(crate) struct CertificateKey {
    certificate: CertificateDer<'static>,
    key: EcdsaKeyPair,
    identity: Identity,
}

impl CertificateKey {
    /// Takes the first certificate of the chain and its key.
    pub(crate) fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        let certificate = pem::certificates(chain_pem)?.swap_remove(0);
        let identity = identity::from_der(&certificate)?;
        let key = ecdsa(&*pem::private_key(key_pem)?)?;
        if !belongs(&certificate, &key) {
            return Err(CryptoError::malformed("private key", "it is another certificate's"));
        }
        Ok(Self { certificate, key, identity })
    }

    /// The same if the certificate is of this role.
    pub(crate) fn of_role(self, role: Role) -> Result<Self, CryptoError> {
        if self.identity.role == role { Ok(self) } else { Err(CryptoError::WrongRole(self.identity.role)) }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn sign(&self, separator: &[u8], bytes: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.key
            .sign(&SystemRandom::new(), &[separator, bytes].concat())
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| CryptoError::Library("sign a record"))
    }
}

/// A signature with what it is about.
pub(crate) struct Signed<'a> {
    /// DER.
    pub(crate) certificate: &'a [u8],
    /// When it was made, by its own word.
    pub(crate) at: Timestamp,
    pub(crate) separator: &'a [u8],
    pub(crate) bytes: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl Signed<'_> {
    /// Who signed: the certificate chains to a trusted CA, was valid when it signed, is of this role, and the signature is
    /// its own. Whether it was revoked since is not judged here.
    pub(crate) fn verify(&self, role: Role, anchors: &TrustAnchors) -> Result<Identity, CryptoError> {
        let certificate = CertificateDer::from(self.certificate);
        let identity = anchors.verify(std::slice::from_ref(&certificate), self.at)?;
        if identity.role != role {
            return Err(CryptoError::WrongRole(identity.role));
        }
        let message = [self.separator, self.bytes].concat();
        EndEntityCert::try_from(&certificate)
            .and_then(|end_entity| end_entity.verify_signature(ECDSA_P256_SHA256, &message, self.signature))
            .map_err(|_| CryptoError::Forged)?;
        Ok(identity)
    }
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

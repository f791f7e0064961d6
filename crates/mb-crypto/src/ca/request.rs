//! Signing requests (PKCS#10, RFC 2986): a key that never leaves its holder, and the proof that the holder has it.
//!
//! Of a request only the public key counts. Name, role and everything else come from who was proven to ask, so that no
//! request can ask for more than its sender is.

use mb_core::{Identity, Secret};
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, DnValue, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512, PublicKey, PublicKeyData,
};

use super::{Ca, IssueRequest, new_key};
use crate::digest::sha256;
use crate::{CryptoError, identity};

/// The longest request that is read: RSA with 8192 bits and a long subject takes about 5 KiB.
const MAX_LEN: usize = 16 * 1024;

/// Bytes of the public key of RSA with 2048 bits; shorter ones are refused.
const RSA_2048: usize = 256;

/// A request whose signature proves that its sender has the key.
#[derive(Debug)]
pub struct SigningRequest {
    public_key: PublicKey,
    common_name: Option<String>,
}

/// A certificate for a key that its holder keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The leaf, PEM.
    pub certificate_pem: String,
    /// What it says.
    pub identity: Identity,
}

impl SigningRequest {
    /// Reads a request in PEM and verifies its signature.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] for what is no request, is signed by another key, or holds a key of a kind that this
    /// system does not take: ECDSA P-256 or P-384, Ed25519, RSA from 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, CryptoError> {
        let bad = |detail: &str| CryptoError::malformed("signing request", detail);
        if text.len() > MAX_LEN {
            return Err(bad("it is longer than any request"));
        }
        let request = CertificateSigningRequestParams::from_pem(text)
            .map_err(|error| CryptoError::malformed("signing request", error))?;
        let common_name = match request.params.distinguished_name.get(&DnType::CommonName) {
            Some(DnValue::Utf8String(name)) => Some(name.clone()),
            Some(DnValue::PrintableString(name)) => Some(name.to_string()),
            _ => None,
        };
        let public_key = request.public_key;
        let algorithm = public_key.algorithm();
        let rsa = [&PKCS_RSA_SHA256, &PKCS_RSA_SHA384, &PKCS_RSA_SHA512].contains(&algorithm);
        let elliptic = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519].contains(&algorithm);
        if rsa && public_key.der_bytes().len() < RSA_2048 {
            return Err(bad("an RSA key needs at least 2048 bits"));
        }
        if rsa || elliptic { Ok(Self { public_key, common_name }) } else { Err(bad("keys of this kind are not taken")) }
    }

    /// The name that its sender would like to have; nothing rests on it.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// SHA-256 of the public key.
    pub fn key_digest(&self) -> [u8; 32] {
        sha256(&[self.public_key.der_bytes()])
    }

    /// Makes a key, ECDSA P-256, and a request for it: the private key as PKCS#8 PEM, the request as PEM.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn create(name: &str) -> Result<(Secret<String>, String), CryptoError> {
        let failed = |_| CryptoError::Library("make a signing request");
        let key = new_key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let request = params.serialize_request(&key).and_then(|request| request.pem()).map_err(failed)?;
        Ok((Secret::new(key.serialize_pem()), request))
    }
}

impl Ca {
    /// Issues a leaf certificate for the key of `request`; what it says comes from `order` alone.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn sign(&self, request: &SigningRequest, order: &IssueRequest<'_>) -> Result<Signed, CryptoError> {
        let certificate = self
            .leaf(order)?
            .signed_by(&request.public_key, &self.issuer)
            .map_err(|_| CryptoError::Library("sign the certificate"))?;
        Ok(Signed { identity: identity::from_der(certificate.der())?, certificate_pem: certificate.pem() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mb_core::{Role, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    fn order(name: &str) -> IssueRequest<'_> {
        IssueRequest { name, role: Role::Client, domain: None, sans: &[], validity: Duration::from_hours(24), now: NOW }
    }

    #[test]
    fn a_request_gives_its_key_and_nothing_else() {
        let ca = Ca::create("test CA", NOW).expect("a CA");
        let (key, request) = SigningRequest::create("admin").expect("a request");
        let request = SigningRequest::from_pem(&request).expect("sound");
        let signed = ca.sign(&request, &order("till-1")).expect("signed");
        assert_eq!((signed.identity.name.as_str(), signed.identity.role), ("till-1", Role::Client));
        assert_eq!(ca.verify(&signed.certificate_pem, NOW).expect("trusted"), signed.identity);
        crate::tls::client_config(Some((&signed.certificate_pem, key.expose())), ca.certificate_pem(), &[])
            .expect("key and certificate belong together");
    }

    #[test]
    fn what_is_no_request_or_was_changed_is_refused() {
        let (_, request) = SigningRequest::create("till-1").expect("a request");
        let middle = request.len() / 2;
        let other = if request.as_bytes()[middle] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &request[..middle], &request[middle + 1..]);
        let long = format!("{request}{}", "x".repeat(MAX_LEN));
        for bad in ["", "hello", &changed, &long] {
            assert!(SigningRequest::from_pem(bad).is_err(), "{bad}");
        }
    }
}

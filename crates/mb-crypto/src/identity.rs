//! From a certificate's bytes to who it names.
//!
//! The subject says it: CN is the name, OU the role, O the domain. The issuer's id comes from the authority key
//! identifier, which our CA sets to the hash of its public key (see [`crate::ca`]), so that a connection's identity needs
//! its leaf certificate alone. Reading checks no signature: call it on a certificate that a handshake or
//! [`crate::TrustAnchors`] has verified.

use std::net::IpAddr;

use mb_core::{ClientName, DomainName, Identity, Role, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT, Oid};
use x509_parser::prelude::FromDer;

use crate::digest::sha256;
use crate::{CryptoError, pem};

/// Reads the identity that a verified leaf certificate carries.
///
/// # Errors
/// [`CryptoError::Malformed`] if it is no certificate of this system: broken, a CA, or without name, role or issuer.
pub fn from_der(der: &[u8]) -> Result<Identity, CryptoError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| CryptoError::malformed(WHAT, error))?;
    if !rest.is_empty() {
        return Err(CryptoError::malformed(WHAT, "bytes after its end"));
    }
    if certificate.is_ca() {
        return Err(CryptoError::malformed(WHAT, "it is a CA's, which names nobody"));
    }
    let name = required(&certificate, &OID_X509_COMMON_NAME, "CN (name)")?;
    if ClientName::parse(name).is_none() {
        return Err(CryptoError::malformed(WHAT, "CN is no valid name"));
    }
    let role = Role::parse(required(&certificate, &OID_X509_ORGANIZATIONAL_UNIT, "OU (role)")?)
        .ok_or_else(|| CryptoError::malformed(WHAT, "OU is no role of this system"))?;
    Ok(Identity {
        name: name.to_owned(),
        role,
        domain: domain(&certificate, role)?,
        issuer: issuer(&certificate)?,
        serial: without_leading_zeros(certificate.raw_serial()).to_vec(),
        fingerprint: fingerprint(der),
        not_before: timestamp(certificate.validity().not_before.timestamp()),
        not_after: timestamp(certificate.validity().not_after.timestamp()),
    })
}

/// When a certificate, of whichever authority, begins and ends to be valid.
///
/// # Errors
/// [`CryptoError::Malformed`] if it is no certificate.
pub fn life(der: &[u8]) -> Result<(Timestamp, Timestamp), CryptoError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| CryptoError::malformed(WHAT, error))?;
    let validity = certificate.validity();
    Ok((timestamp(validity.not_before.timestamp()), timestamp(validity.not_after.timestamp())))
}

/// The DNS names and addresses in a certificate's SAN (RFC 5280, section 4.2.1.6), as text; others are left out.
///
/// # Errors
/// [`CryptoError::Malformed`] if the PEM holds no certificate.
pub fn alternative_names(certificate_pem: &str) -> Result<Vec<String>, CryptoError> {
    let der = pem::certificates(certificate_pem)?.swap_remove(0);
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| CryptoError::malformed(WHAT, error))?;
    let names = certificate.subject_alternative_name().map_err(|error| CryptoError::malformed(WHAT, error))?;
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    };
    Ok(names.into_iter().flat_map(|names| names.value.general_names.iter().filter_map(text)).collect())
}

/// SHA-256 of a certificate's DER, lower hexadecimal.
pub fn fingerprint(der: &[u8]) -> String {
    mb_core::hex::encode(&sha256(&[der]))
}

const WHAT: &str = "certificate's identity";

fn domain(certificate: &X509Certificate<'_>, role: Role) -> Result<Option<DomainName>, CryptoError> {
    match (subject(certificate, &OID_X509_ORGANIZATION_NAME)?, role.has_domain()) {
        (Some(text), true) => {
            DomainName::parse(text).map(Some).ok_or_else(|| CryptoError::malformed(WHAT, "O is no valid domain"))
        }
        (None, true) => Err(CryptoError::malformed(WHAT, "no O (domain) in its subject")),
        (_, false) => Ok(None),
    }
}

fn required<'a>(
    certificate: &'a X509Certificate<'_>,
    oid: &Oid<'_>,
    field: &'static str,
) -> Result<&'a str, CryptoError> {
    subject(certificate, oid)?.ok_or_else(|| CryptoError::malformed(WHAT, format!("no {field} in its subject")))
}

/// The one value of a subject attribute. Two would let readers disagree about who is named, so they are refused.
fn subject<'a>(certificate: &'a X509Certificate<'_>, oid: &Oid<'_>) -> Result<Option<&'a str>, CryptoError> {
    let mut found = certificate.subject().iter_attributes().filter(|attribute| attribute.attr_type() == oid);
    let Some(first) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(CryptoError::malformed(WHAT, "its subject has an attribute twice"));
    }
    first.as_str().map(Some).map_err(|error| CryptoError::malformed(WHAT, error))
}

fn issuer(certificate: &X509Certificate<'_>) -> Result<[u8; 16], CryptoError> {
    certificate
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
            _ => None,
        })
        .and_then(|id| id.0.first_chunk::<16>().copied())
        .ok_or_else(|| CryptoError::malformed(WHAT, "no authority key identifier"))
}

fn without_leading_zeros(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::fixture;

    /// Whether the authority key identifier is there.
    #[derive(Clone, Copy)]
    enum Named {
        Yes,
        No,
    }

    /// A leaf as another CA might write it.
    fn leaf(subject: &[(DnType, &str)], issuer_named: Named) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (attribute, value) in subject {
            params.distinguished_name.push(attribute.clone(), *value);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = matches!(issuer_named, Named::Yes);
        let issuer = Issuer::from_params(&params, &key);
        params.signed_by(&key, &issuer).expect("signed").der().to_vec()
    }

    const CN: DnType = DnType::CommonName;
    const OU: DnType = DnType::OrganizationalUnitName;
    const O: DnType = DnType::OrganizationName;

    #[test]
    fn a_leaf_names_its_holder() {
        let identity = from_der(&leaf(&[(CN, "a"), (OU, "client"), (O, "acme")], Named::Yes)).expect("whole");
        assert_eq!((identity.name.as_str(), identity.role), ("a", Role::Client));
        assert_eq!(identity.domain, DomainName::parse("acme"));
        let proxy = from_der(&leaf(&[(CN, "p"), (OU, "proxy"), (O, "Some Company")], Named::Yes)).expect("whole");
        assert_eq!(proxy.domain, None, "a proxy has no tenant, whatever O says");
    }

    #[test]
    fn what_does_not_name_one_holder_is_refused() {
        for subject in [
            &[][..],
            &[(CN, "a")],
            &[(OU, "client"), (O, "acme")],
            &[(CN, "a"), (OU, "client")],
            &[(CN, "a"), (OU, "root"), (O, "acme")],
            &[(CN, "A b"), (OU, "client"), (O, "acme")],
            &[(CN, "a"), (OU, "client"), (O, "Acme Inc")],
            &[(CN, "a\0"), (OU, "client"), (O, "acme")],
        ] {
            assert!(from_der(&leaf(subject, Named::Yes)).is_err(), "{subject:?}");
        }
        assert!(from_der(&leaf(&[(CN, "a"), (OU, "proxy")], Named::No)).is_err(), "no issuer");
    }

    #[test]
    fn two_names_are_refused() {
        // rcgen writes an attribute once; one certificate with OU = client is made to say CN twice.
        let mut der = leaf(&[(CN, "a"), (OU, "client"), (O, "acme")], Named::Yes);
        let (ou, cn) = ([0x06, 0x03, 0x55, 0x04, 0x0b], [0x06, 0x03, 0x55, 0x04, 0x03]);
        let places: Vec<_> = (0..der.len() - 5).filter(|at| der[*at..*at + 5] == ou).collect();
        for at in places {
            der[at..at + 5].copy_from_slice(&cn);
        }
        assert!(from_der(&der).expect_err("two CNs").to_string().contains("twice"));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let whole = fixture::issue(&fixture::ca(), "a", Role::Client);
        let der = crate::pem::certificates(&whole.certificate_pem).expect("a certificate").swap_remove(0).to_vec();
        assert_eq!(from_der(&der).expect("whole"), whole.identity);
        for end in 0..der.len() {
            assert!(from_der(&der[..end]).is_err(), "cut at {end}");
        }
        assert!(from_der(&[&der[..], &[0]].concat()).is_err(), "a byte more");
    }
}

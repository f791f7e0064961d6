//! The certificate authority: creates itself, issues leaf certificates, signs the revocation list.
//!
//! Profile (contract, section 7): X.509 v3, ECDSA P-256, random 128-bit serial, backdated 5 minutes for clocks that
//! differ. The subject names the holder: CN = name, OU = role, O = domain. The extended key usage follows the role, so a
//! client's certificate can never serve. The CA signs leaves only (path length 0).
//!
//! The CA's key identifier is the SHA-256 of its public key (RFC 7093, section 2, method 4, cut to 160 bits), and every
//! leaf repeats it as authority key identifier: that is how [`crate::identity`] knows the issuer from a leaf alone.

mod crl;
mod listed;
mod request;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use mb_core::{ClientName, DomainName, Identity, Role, Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, DnsName};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::digest::{head, sha256};
use crate::{CryptoError, TrustAnchors, identity, pem, random};

pub use crl::{RevocationReason, Revoked};
pub use listed::listed;
pub use request::{Signed, SigningRequest};

/// How far before `now` a certificate becomes valid.
pub const BACKDATED: Duration = Duration::from_mins(5);

const DAY: Duration = Duration::from_hours(24);

/// 10 years with their leap days.
const CA_VALIDITY: Duration = DAY.saturating_mul(3652);

/// The names and addresses under which every serving role is reachable on its own machine.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate authority with its private key.
pub struct Ca {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
    anchors: TrustAnchors,
}

/// What a leaf certificate shall say.
#[derive(Clone, Debug)]
pub struct IssueRequest<'a> {
    /// CN; follows the rule of client names.
    pub name: &'a str,
    /// OU.
    pub role: Role,
    /// O, for roles that have a domain; none given = `default`.
    pub domain: Option<&'a DomainName>,
    /// DNS names and IP addresses beside those that a serving role always gets.
    pub sans: &'a [String],
    /// From `now`; cut to the CA's own end.
    pub validity: Duration,
    /// When it is issued.
    pub now: Timestamp,
}

/// A fresh certificate and its private key, which is kept nowhere else.
#[derive(Debug)]
pub struct Issued {
    /// The leaf, PEM.
    pub certificate_pem: String,
    /// PKCS#8, PEM.
    pub private_key_pem: Secret<String>,
    /// What it says.
    pub identity: Identity,
}

/// [`Identity::issuer`] of the certificates of every authority in a bundle in PEM; none of what is broken.
pub fn issuers(bundle_pem: &str) -> Vec<[u8; 16]> {
    let bundle = pem::certificates(bundle_pem).unwrap_or_default();
    let id = |der: &CertificateDer<'_>| {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(head(&sha256(&[parsed.public_key().raw])))
    };
    bundle.iter().filter_map(id).collect()
}

impl Ca {
    /// Makes a new authority, valid for 10 years.
    ///
    /// # Errors
    /// [`CryptoError::Library`] or [`CryptoError::Invalid`] if `now` cannot be written into a certificate.
    pub fn create(common_name: &str, now: Timestamp) -> Result<Self, CryptoError> {
        let key = new_key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(new_serial());
        params.not_before = date_time(now.minus(BACKDATED))?;
        params.not_after = date_time(now.plus(CA_VALIDITY))?;
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_identifier(&key));
        let certificate = params.self_signed(&key).map_err(|_| CryptoError::Library("sign the CA certificate"))?;
        Self::assemble(certificate.der().clone(), certificate.pem(), key)
    }

    /// Takes up an authority that [`Ca::create`] made. While one takes another's place `cert_pem` holds both: the key says
    /// which of them issues, the other is trusted.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if either part is broken or they do not belong together.
    pub fn load(cert_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        let mut bundle = pem::certificates(cert_pem)?;
        let key = KeyPair::try_from(&*pem::private_key(key_pem)?)
            .map_err(|error| CryptoError::malformed("CA private key", error))?;
        let issuing = bundle.iter().position(|der| has_key(der, &key));
        let certificate = bundle.swap_remove(issuing.unwrap_or(0));
        Self::assemble(certificate, cert_pem.to_owned(), key)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        certificate_pem: String,
        key: KeyPair,
    ) -> Result<Self, CryptoError> {
        let wrong = |detail: &str| Err(CryptoError::malformed("CA certificate", detail));
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|error| CryptoError::malformed("CA certificate", error))?;
        if !parsed.is_ca() {
            return wrong("it is a leaf, not a CA");
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return wrong("the private key is another's");
        }
        let not_after = Timestamp::from_micros(parsed.validity().not_after.timestamp().saturating_mul(1_000_000));
        let identifier = crl::subject_key_identifier(&parsed);
        if identifier != Some(&key_identifier(&key)) {
            return wrong("its subject key identifier is not one of this system");
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| CryptoError::malformed("CA certificate", error))?;
        let anchors = TrustAnchors::from_pem(&certificate_pem)?;
        Ok(Self { certificate, certificate_pem, issuer, not_after, anchors })
    }

    /// The CA certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The private key, PKCS#8 PEM.
    pub fn private_key_pem(&self) -> Secret<String> {
        Secret::new(self.issuer.key().serialize_pem())
    }

    /// [`Identity::issuer`] of the certificates that this authority issues.
    pub fn issuer_id(&self) -> [u8; 16] {
        head(&public_key_digest(self.issuer.key()))
    }

    /// [`Identity::issuer`] of the certificates of every authority in its bundle.
    pub fn trusted_ids(&self) -> Vec<[u8; 16]> {
        issuers(&self.certificate_pem)
    }

    /// End of the authority's own validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Issues a leaf certificate with a fresh key.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if a name, a SAN or the validity breaks a rule.
    pub fn issue(&self, request: &IssueRequest<'_>) -> Result<Issued, CryptoError> {
        let params = self.leaf(request)?;
        let key = new_key()?;
        let certificate =
            params.signed_by(&key, &self.issuer).map_err(|_| CryptoError::Library("sign the certificate"))?;
        Ok(Issued {
            identity: identity::from_der(certificate.der())?,
            certificate_pem: certificate.pem(),
            private_key_pem: Secret::new(key.serialize_pem()),
        })
    }

    /// Verifies a chain in PEM, leaf first, against this authority alone; not its revocation.
    ///
    /// # Errors
    /// As [`TrustAnchors::verify`].
    pub fn verify(&self, chain_pem: &str, now: Timestamp) -> Result<Identity, CryptoError> {
        self.anchors.verify(&pem::certificates(chain_pem)?, now)
    }

    fn leaf(&self, request: &IssueRequest<'_>) -> Result<CertificateParams, CryptoError> {
        let invalid = |text: String| Err(CryptoError::Invalid(text));
        if ClientName::parse(request.name).is_none() {
            return invalid(format!("{:?} is no valid name: {}", request.name, mb_core::name::NAME_RULE));
        }
        if request.domain.is_some() && !request.role.has_domain() {
            return invalid(format!("a certificate of role {} has no domain", request.role));
        }
        let not_after = request.now.plus(request.validity).min(self.not_after);
        if request.validity < Duration::from_secs(1) || not_after <= request.now {
            return invalid("the certificate, or the CA, would already have ended".into());
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(request);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes(request.role);
        params.subject_alt_names = alternative_names(request)?;
        params.serial_number = Some(new_serial());
        params.not_before = date_time(request.now.minus(BACKDATED))?;
        params.not_after = date_time(not_after)?;
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

impl std::fmt::Debug for Ca {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ca").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

fn has_key(certificate: &[u8], key: &KeyPair) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info())
}

fn subject(request: &IssueRequest<'_>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    if request.role.has_domain() {
        let domain = request.domain.cloned().unwrap_or_default();
        subject.push(DnType::OrganizationName, domain.as_str());
    }
    subject.push(DnType::OrganizationalUnitName, request.role.as_str());
    subject.push(DnType::CommonName, request.name);
    subject
}

fn purposes(role: Role) -> Vec<ExtendedKeyUsagePurpose> {
    let serves = role.serves().then_some(ExtendedKeyUsagePurpose::ServerAuth);
    let calls = role.calls().then_some(ExtendedKeyUsagePurpose::ClientAuth);
    serves.into_iter().chain(calls).collect()
}

fn alternative_names(request: &IssueRequest<'_>) -> Result<Vec<SanType>, CryptoError> {
    let own: &[&str] = if request.role.serves() { &OWN_NAMES } else { &[] };
    let mut seen = BTreeSet::new();
    own.iter()
        .copied()
        .chain(request.sans.iter().map(String::as_str))
        .filter(|name| seen.insert(name.to_ascii_lowercase()))
        .map(alternative_name)
        .collect()
}

fn alternative_name(text: &str) -> Result<SanType, CryptoError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || CryptoError::Invalid(format!("{text:?} is neither a DNS name nor an IP address"));
    let plain = text.strip_prefix("*.").unwrap_or(text);
    DnsName::try_from(plain).map_err(|_| refused())?;
    Ok(SanType::DnsName(text.to_ascii_lowercase().try_into().map_err(|_| refused())?))
}

fn new_key() -> Result<KeyPair, CryptoError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| CryptoError::Library("make a key"))
}

/// 128 bits of which 126 are random: the first two are fixed so that the number is positive and always as long.
fn new_serial() -> SerialNumber {
    let mut bytes = random::random_array::<16>();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn public_key_digest(key: &KeyPair) -> [u8; 32] {
    sha256(&[&key.subject_public_key_info()])
}

fn key_identifier(key: &KeyPair) -> Vec<u8> {
    head::<20>(&public_key_digest(key)).to_vec()
}

fn date_time(at: Timestamp) -> Result<OffsetDateTime, CryptoError> {
    OffsetDateTime::from_unix_timestamp(at.seconds())
        .ok()
        .filter(|time| (1950..=9999).contains(&time.year()))
        .ok_or_else(|| CryptoError::Invalid(format!("{at} cannot be written into a certificate")))
}

#[cfg(test)]
mod tests;

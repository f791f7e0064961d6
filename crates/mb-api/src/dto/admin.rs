//! Administration: certificates and users (contract, section 4).

use std::fmt;

use mb_core::{ClientName, DomainName, Role, Secret, Timestamp};

/// A secret that has to travel in a body: reads and writes as its text, shows nothing in debug output.
#[derive(Clone)]
pub struct SecretText(Secret<String>);

impl SecretText {
    /// Wraps the text.
    pub fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// The secret.
    pub const fn secret(&self) -> &Secret<String> {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Asks for a new key and certificate.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateCertificate {
    /// The certificate's name.
    pub client_id: ClientName,
    /// The tenant, for roles that have one; created if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainName>,
    /// Days until it expires; by default the role's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
    /// The role, `client` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Names and addresses for the SAN, for roles that serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
}

/// A new certificate and, this once, its key.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct GeneratedCertificate {
    /// The serial number, lower hexadecimal.
    pub id: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub private_key: SecretText,
    /// The CA certificate, PEM.
    pub ca_certificate: String,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// End of validity.
    pub expires_at: Timestamp,
}

/// Revokes all certificates of a name, or one by serial number. Exactly one of the two is given.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertificate {
    /// Whose certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientName>,
    /// Which certificate: its serial number in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was revoked.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Revoked {
    /// The serial numbers, lower hexadecimal.
    pub revoked: Vec<String>,
}

/// What a certificate is worth at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateStatus {
    /// It is good.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A certificate in a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct CertificateRow {
    /// The serial number, lower hexadecimal.
    pub id: String,
    /// The name in it.
    pub client_id: String,
    /// The role in it.
    pub role: Role,
    /// The tenant in it.
    pub domain: Option<DomainName>,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// What it is worth.
    pub status: CertificateStatus,
    /// Start of validity.
    pub issued_at: Timestamp,
    /// End of validity.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub reason: Option<String>,
}

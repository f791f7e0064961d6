//! Certificates for keys that stay with their holders: signing requests, and tokens that stand for an identity until there
//! is one.

use mb_core::{ClientName, DomainName, Role, Timestamp};
use utoipa::ToSchema;

use crate::dto::SecretText;
use crate::schema;

/// Asks for a token with which a client gets a certificate.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrolment {
    /// The tenant, for roles that have one; created if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// The role, `client` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CertificateRole>)]
    pub role: Option<Role>,
    /// Days until the certificate expires; by default the role's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
    /// Minutes until the token expires; by default a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_minutes: Option<u32>,
}

/// A token, this once.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Enrolment {
    /// Good for one certificate.
    pub token: SecretText,
    /// End of the token.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
    /// SHA-256 of the CA certificate, lower hexadecimal: by it whoever enrols knows the main server.
    pub ca_fingerprint: String,
}

/// Asks for the certificate that a token is good for.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The token.
    pub token: SecretText,
    /// The signing request, PEM.
    pub csr: String,
}

/// Asks for a certificate for a key that its holder keeps.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignCertificate {
    /// The signing request, PEM. Of what it says only the public key counts.
    pub csr: String,
    /// The certificate's name.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// The tenant, for roles that have one; created if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// Days until it expires; by default the role's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
    /// The role, `client` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CertificateRole>)]
    pub role: Option<Role>,
    /// Names and addresses for the SAN, for roles that serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
}

/// A certificate for a key that its holder keeps.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct SignedCertificate {
    /// The serial number, lower hexadecimal.
    pub id: String,
    /// The name in it.
    pub client_id: String,
    /// The role in it.
    #[schema(value_type = schema::CertificateRole)]
    pub role: Role,
    /// The certificate, PEM.
    pub certificate: String,
    /// The CA certificate, PEM.
    pub ca_certificate: String,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// End of validity.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
}

/// Asks for a new key and certificate that says what the newest valid one of a name says; that one stays valid.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewCertificate {
    /// Whose certificate.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// In which role, where the name is of several holders; a component's own name means that component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CertificateRole>)]
    pub role: Option<Role>,
    /// Days until it expires; by default as long as the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
    /// Whether the answer is to hold a PKCS#12 file as well.
    #[serde(default)]
    pub pkcs12: bool,
}

/// Certificate, key and CA in one file under a password, this once.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Pkcs12File {
    /// The file, base64.
    pub file: SecretText,
    /// What opens it.
    pub password: SecretText,
}

//! Certificates: issue, revoke, list (contract, section 4).

use mb_core::{ClientName, DomainName, FieldError, Role, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{Cursor, List};
use crate::dto::{Pkcs12File, SecretText};
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Days ahead if the request does not say.
const DEFAULT_DAYS: u32 = 30;
/// The most days ahead: as long as any certificate is valid.
const MAX_DAYS: u32 = 3650;

/// Asks for a new key and certificate.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateCertificate {
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
    /// Whether the answer is to hold a PKCS#12 file as well.
    #[serde(default)]
    pub pkcs12: bool,
}

/// A new certificate and, this once, its key.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
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
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
    /// The same as a PKCS#12 file, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkcs12: Option<Pkcs12File>,
}

/// Revokes all certificates of a name, or one by serial number. Exactly one of the two is given.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertificate {
    /// Whose certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// In which role, where the name is of several holders; a component's own name means that component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CertificateRole>)]
    pub role: Option<Role>,
    /// Which certificate: its serial number in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether those are revoked as well that were renewed over it, and over them. By name all are, anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub successors: bool,
}

/// What was revoked.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Revoked {
    /// The serial numbers, lower hexadecimal.
    pub revoked: Vec<String>,
    /// The serial numbers of those that were renewed over these and stay good.
    #[serde(default)]
    pub successors: Vec<String>,
    /// How many tokens for a first certificate are good no more.
    #[serde(default)]
    pub tokens: u64,
    /// Proxies that are heard of and do not know it yet, by name.
    #[serde(default)]
    pub behind: Vec<String>,
    /// Proxies that were not heard of for a minute, by name: they may not know it.
    #[serde(default)]
    pub silent: Vec<String>,
}

/// What a certificate is worth at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateStatus {
    /// It is good.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// Which certificates, in the order in which they were issued.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CertificateQuery {
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::ClientName>)]
    pub client_id: Option<ClientName>,
    /// What they may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::CertificateRole>)]
    pub role: Option<Role>,
    /// What they are worth now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub status: Option<CertificateStatus>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl CertificateQuery {
    /// The number of rows and the place after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        page::resolve(List::Certificates, self.limit, self.cursor.as_deref())
    }
}

/// Which certificates that expire: the query of that list.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExpiringQuery {
    /// Those that expire within so many days; 30 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
    /// Rows wanted, 1 to 250.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl ExpiringQuery {
    /// The days, the number of rows, and the position after which they start.
    ///
    /// # Errors
    /// 422 if a number is out of range or the cursor is none of this list.
    pub fn resolve(&self) -> Result<(u32, u32, Option<Cursor>), ApiError> {
        let days = self.days.unwrap_or(DEFAULT_DAYS);
        if !(1..=MAX_DAYS).contains(&days) {
            let detail = format!("days must be 1 to {MAX_DAYS}");
            return Err(ApiError::invalid(vec![FieldError::new("/days", "out_of_range", detail)]));
        }
        let (limit, after) = page::resolve(List::Expiring, self.limit, self.cursor.as_deref())?;
        Ok((days, limit, after))
    }
}

/// A certificate in a list.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct CertificateRow {
    /// The serial number, lower hexadecimal.
    pub id: String,
    /// The name in it.
    pub client_id: String,
    /// The role in it.
    #[schema(value_type = schema::CertificateRole)]
    pub role: Role,
    /// The tenant in it.
    #[schema(value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// What it is worth.
    pub status: CertificateStatus,
    /// Start of validity.
    #[schema(value_type = schema::Timestamp)]
    pub issued_at: Timestamp,
    /// End of validity.
    #[schema(value_type = schema::Timestamp)]
    pub expires_at: Timestamp,
    /// Of an active one that expires within 30, 14, 7 or 1 days: the last of these steps that it has reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_within_days: Option<u32>,
    /// When it was revoked.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub reason: Option<String>,
}

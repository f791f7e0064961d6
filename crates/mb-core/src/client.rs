//! Who is at the other end of a connection.

use std::fmt;

use crate::clock::Timestamp;
use crate::name::DomainName;
use crate::role::Role;

/// What a verified certificate says. Built from the certificate alone, never from a header or a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// CN: the client's or component's name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The tenant, for roles that have one.
    pub domain: Option<DomainName>,
    /// SHA-256 of the issuing CA's public key (its SubjectPublicKeyInfo), first 16 bytes.
    pub issuer: [u8; 16],
    /// The certificate's serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// SHA-256 of the certificate, lower hexadecimal.
    pub fingerprint: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
}

/// Whether a client may act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientStatus {
    /// May submit.
    Active,
    /// Refused until resumed.
    Suspended,
    /// Refused, and left out of everyday lists.
    Archived,
}

impl ClientStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Archived];

    /// The word used in the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
        }
    }

    /// Parses [`ClientStatus::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for ClientStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

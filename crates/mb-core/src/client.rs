//! Who is at the other end of a connection.

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

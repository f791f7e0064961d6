//! The certificate revocation list (RFC 5280, section 5), for those outside who ask for one: inside, the policy decides.

use std::time::Duration;

use mb_core::Timestamp;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::X509Certificate;

use super::{Ca, date_time, key_identifier};
use crate::CryptoError;

/// How long a list may be relied on: its `nextUpdate`.
const CRL_VALIDITY: Duration = Duration::from_hours(7 * 24);

/// One revoked certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// Why a certificate was revoked (RFC 5280, section 5.3.1); those that a leaf of this system can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RevocationReason {
    /// No reason given.
    #[default]
    Unspecified,
    /// Its private key is, or may be, in other hands.
    KeyCompromise,
    /// The holder belongs elsewhere now.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The holder is no more.
    CessationOfOperation,
    /// The holder may no longer do this.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The word used in the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key_compromise",
            Self::AffiliationChanged => "affiliation_changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation_of_operation",
            Self::PrivilegeWithdrawn => "privilege_withdrawn",
        }
    }

    /// Parses [`RevocationReason::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Its number in the extension.
    pub(super) fn number(self) -> Option<u64> {
        self.code().map(|code| code as u64)
    }

    /// `None` for no reason given: RFC 5280 asks to leave the extension out then.
    const fn code(self) -> Option<rcgen::RevocationReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
            Self::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
            Self::Superseded => Some(rcgen::RevocationReason::Superseded),
            Self::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
            Self::PrivilegeWithdrawn => Some(rcgen::RevocationReason::PrivilegeWithdrawn),
        }
    }
}

impl Ca {
    /// Signs the list of revoked certificates, PEM. `number` counts up with every list.
    ///
    /// # Errors
    /// [`CryptoError::Invalid`] if a time cannot be written, [`CryptoError::Library`] if signing fails.
    pub fn crl(&self, revoked: &[Revoked], number: u64, now: Timestamp) -> Result<String, CryptoError> {
        let revoked_certs = revoked
            .iter()
            .map(|entry| {
                Ok(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&entry.serial),
                    revocation_time: date_time(entry.at)?,
                    reason_code: entry.reason.code(),
                    invalidity_date: None,
                })
            })
            .collect::<Result<_, CryptoError>>()?;
        let params = CertificateRevocationListParams {
            this_update: date_time(now)?,
            next_update: date_time(now.plus(CRL_VALIDITY))?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::PreSpecified(key_identifier(self.issuer.key())),
        };
        params
            .signed_by(&self.issuer)
            .and_then(|list| list.pem())
            .map_err(|_| CryptoError::Library("sign the revocation list"))
    }
}

pub(super) fn subject_key_identifier<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

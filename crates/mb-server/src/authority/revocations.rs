//! The revocation lists (RFC 5280, section 5), for those outside who ask for one: inside, the policy decides.
//!
//! A list speaks for one authority. While one takes another's place there are two lists, so that what the one before has
//! issued can be revoked as before. Anybody may ask, and signing costs the more the longer a list is: the lists are kept,
//! and signed again when something was revoked, when the authorities are others, and daily.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mb_api::problem::ApiError;
use mb_core::Timestamp;
use mb_crypto::CryptoError;
use mb_crypto::ca::{Ca, RevocationReason, Revoked};
use mb_store::RevokedCertificate;
use tokio::sync::Mutex;

use super::{Authority, aside};
use crate::routes::store_fault;

/// The lists are signed again when they are older; readers may rely on them for seven days.
pub const RENEW_AFTER: Duration = Duration::from_hours(24);
/// A certificate stays on the lists for so long after its end: it has to be on one that was published after that
/// (RFC 5280, section 3.3).
const EXPIRED_FOR: Duration = Duration::from_hours(8 * 24);

/// The signed lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    /// The lists, PEM; that of the authority that issues is the first.
    pub pem: Bytes,
    /// The first of them, DER.
    pub der: Bytes,
    /// When the last certificate on them was revoked; `None` if they are empty.
    pub newest: Option<Timestamp>,
}

/// The lists as they were signed last.
#[derive(Default, Debug)]
pub(super) struct Kept(Mutex<Option<Signed>>);

#[derive(Clone, Debug)]
struct Signed {
    list: RevocationList,
    /// The policy's version, which every revocation raises.
    version: u64,
    signers: Vec<[u8; 16]>,
    at: Timestamp,
}

impl Authority {
    /// The lists of what is revoked now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn revocation_list(&self) -> Result<RevocationList, ApiError> {
        let version = self.store.policy_version().await.map_err(store_fault)?;
        let (issuing, previous) = (self.ca.load_full(), self.previous.load_full());
        let signers: Vec<Arc<Ca>> = std::iter::once(issuing).chain(previous).collect();
        let (ids, now) = (signers.iter().map(|ca| ca.issuer_id()).collect::<Vec<_>>(), self.clock.now());
        // One signs, the others wait for it.
        let mut kept = self.kept.0.lock().await;
        let is_current = |kept: &&Signed| {
            kept.version >= version && kept.signers == ids && kept.at <= now && now.since(kept.at) < RENEW_AFTER
        };
        if let Some(kept) = kept.as_ref().filter(is_current) {
            return Ok(kept.list.clone());
        }
        let rows = self.store.revoked_certificates(now.minus(EXPIRED_FOR)).await.map_err(store_fault)?;
        let list = aside(move || sign(&signers, &rows, now)).await?.map_err(ApiError::internal)?;
        *kept = Some(Signed { list: list.clone(), version, signers: ids, at: now });
        Ok(list)
    }
}

fn sign(signers: &[Arc<Ca>], rows: &[RevokedCertificate], now: Timestamp) -> Result<RevocationList, CryptoError> {
    // The time counts up across restarts and restores, which a number kept in the store would not.
    let number = u64::try_from(now.micros()).unwrap_or(1);
    let (mut pem, mut newest) = (String::new(), None);
    for ca in signers {
        let entries: Vec<_> = rows.iter().filter(|row| row.issuer == ca.issuer_id()).map(entry).collect();
        pem += &ca.crl(&entries, number, now)?;
        newest = newest.max(entries.iter().map(|entry| entry.at).max());
    }
    let trusted = signers.first().map(|ca| ca.trusted_ids()).unwrap_or_default();
    let signed = |row: &&RevokedCertificate| signers.iter().any(|ca| ca.issuer_id() == row.issuer);
    let unsigned = rows.iter().filter(|row| trusted.contains(&row.issuer) && !signed(row)).count();
    if unsigned > 0 {
        mb_runtime::logging::limited("revocation list", || {
            tracing::warn!(count = unsigned, "revoked certificates are on no list: certs/ca.previous.key is missing");
        });
    }
    let der = Bytes::from(mb_crypto::pem::revocation_list(&pem)?);
    Ok(RevocationList { pem: pem.into(), der, newest })
}

fn entry(row: &RevokedCertificate) -> Revoked {
    let reason = RevocationReason::parse(&row.reason).unwrap_or_default();
    Revoked { serial: row.serial.clone(), at: row.at, reason }
}

//! Revocation lists that this installation has signed before: its own word, which outlives what a restored database has
//! forgotten. Nothing leaves a list but by its end, so whatever one names and the store does not is revoked again.

use std::collections::HashSet;

use mb_core::Timestamp;
use mb_crypto::ca::Revoked;
use mb_store::{RevokedCertificate, Store};

use super::Authority;
use crate::ServerError;

/// Who is named in the audit rows.
const ACTOR: &str = "system:main-server";

/// Revokes again what `lists`, PEM, names under one of the authorities in `trusted`, PEM, and the store does not know as
/// revoked. Lists that none of them has signed are passed over. How many certificates that were, with what was renewed over
/// them since.
///
/// # Errors
/// [`ServerError::Crypto`] if a text is broken, [`ServerError::Store`].
pub async fn take_in(store: &Store, trusted: String, lists: String) -> Result<u64, ServerError> {
    let reading = tokio::task::spawn_blocking(move || mb_crypto::ca::listed(&lists, &trusted));
    let listed = reading.await.map_err(|_| mb_crypto::CryptoError::Library("read a revocation list"))??;
    if listed.is_empty() {
        return Ok(0);
    }
    let known = store.revoked_certificates(Timestamp::from_micros(0)).await?;
    let known: HashSet<_> = known.iter().map(|row| (row.issuer, row.serial.as_slice())).collect();
    let lacking: Vec<_> = listed
        .into_iter()
        .filter(|(issuer, entry)| !known.contains(&(*issuer, entry.serial.as_slice())))
        .map(|(issuer, Revoked { serial, at, reason })| {
            let reason = reason.as_str().to_owned();
            RevokedCertificate { issuer, serial, at, reason }
        })
        .collect();
    if lacking.is_empty() {
        return Ok(0);
    }
    let count = store.revoke_listed(&lacking, ACTOR).await?;
    tracing::warn!(count, "revoked again: the revocation list names what the database has forgotten");
    Ok(count)
}

impl Authority {
    /// As [`take_in`], for the authorities that are trusted here.
    ///
    /// # Errors
    /// As [`take_in`].
    pub async fn take_in(&self, lists: String) -> Result<u64, ServerError> {
        take_in(&self.store, self.ca_pem(), lists).await
    }
}

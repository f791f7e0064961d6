//! `certs/crl.pem`, for those outside who ask for a revocation list: inside, the policy decides.
//!
//! The list follows from the store and the CA alone, so whoever holds both can write it at any time, and one that was
//! not written because of a crash is noticed: it is older than the newest revocation.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use mb_core::{Clock, Timestamp};
use mb_crypto::ca::{Ca, RevocationReason, Revoked};
use mb_store::{CertificateFilter, CertificateStatus, Store};

use crate::layout::{Layout, read_secret, read_text};

/// A list is written anew when it is older; readers may rely on it for seven days.
pub const RENEW_AFTER: Duration = Duration::from_hours(24);

/// Writes the list anew if it is missing, older than a day or older than the newest revocation.
///
/// # Errors
/// The store or the CA cannot be read, the file cannot be written.
pub async fn refresh_crl(layout: &Layout, store: &Store, clock: &Clock) -> Result<()> {
    let revoked = revoked(store).await?;
    let newest = revoked.iter().map(|(_, entry)| entry.at).max();
    let now = clock.now();
    let fresh = written_at(&layout.crl()).is_some_and(|written| {
        newest.is_none_or(|at| at < written) && written <= now && now.since(written) < RENEW_AFTER
    });
    if fresh { Ok(()) } else { sign_and_write(layout, revoked, now).await }
}

/// Writes the list anew.
///
/// # Errors
/// As [`refresh_crl`].
pub async fn write_crl(layout: &Layout, store: &Store, clock: &Clock) -> Result<()> {
    sign_and_write(layout, revoked(store).await?, clock.now()).await
}

/// Every revoked certificate, with its issuer.
async fn revoked(store: &Store) -> Result<Vec<([u8; 16], Revoked)>> {
    let filter = CertificateFilter { status: Some(CertificateStatus::Revoked), ..CertificateFilter::default() };
    let rows = store.certificates(&filter).await.context("list revoked certificates")?;
    let entries = rows.into_iter().filter_map(|row| {
        let revocation = row.revocation?;
        let reason = RevocationReason::parse(&revocation.reason).unwrap_or_default();
        Some((row.issuer, Revoked { serial: row.serial, at: revocation.at, reason }))
    });
    Ok(entries.collect())
}

async fn sign_and_write(layout: &Layout, revoked: Vec<([u8; 16], Revoked)>, now: Timestamp) -> Result<()> {
    let layout = layout.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let ca = Ca::load(&read_text(&layout.ca_certificate())?, read_secret(&layout.ca_key())?.expose())
            .context("read the CA")?;
        // A list speaks for one authority only.
        let own: Vec<_> = revoked.into_iter().filter(|(issuer, _)| *issuer == ca.issuer_id()).map(|(_, e)| e).collect();
        write(&layout, &ca, &own, now)
    });
    writing.await.context("write crl.pem")?
}

/// Signs and writes a list.
pub(super) fn write(layout: &Layout, ca: &Ca, revoked: &[Revoked], now: Timestamp) -> Result<()> {
    // The time counts up across restarts and restores, which a number kept in the store would not.
    let number = u64::try_from(now.micros()).unwrap_or(1);
    let crl = ca.crl(revoked, number, now).context("sign the revocation list")?;
    mb_crypto::files::write_public(&layout.crl(), crl.as_bytes()).context("write crl.pem")
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
}

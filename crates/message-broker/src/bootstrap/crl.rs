//! `certs/crl.pem`, for those outside who ask for a revocation list: inside, the policy decides.
//!
//! The list follows from the store and the CA alone, so whoever holds both can write it at any time, and one that was
//! not written because of a crash is noticed: it is older than the newest revocation.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use mb_core::{Clock, Timestamp};
use mb_server::Authority;
use mb_server::authority::RevocationList;

use crate::layout::Layout;

/// A list is written anew when it is older; readers may rely on it for seven days.
pub const RENEW_AFTER: Duration = Duration::from_hours(24);

/// Writes the list anew if it is missing, older than a day or older than the newest revocation.
///
/// # Errors
/// As [`write_crl`].
pub async fn refresh_crl(layout: &Layout, authority: &Authority, clock: &Clock) -> Result<()> {
    let list = authority.revocation_list().await.context("sign the revocation list")?;
    let now = clock.now();
    let fresh = written_at(&layout.crl()).is_some_and(|written| {
        list.newest.is_none_or(|at| at < written) && written <= now && now.since(written) < RENEW_AFTER
    });
    if fresh { Ok(()) } else { write(layout, list).await }
}

/// Signs the list of what is revoked now and writes it.
///
/// # Errors
/// The store cannot be read, the file cannot be written.
pub async fn write_crl(layout: &Layout, authority: &Authority) -> Result<()> {
    write(layout, authority.revocation_list().await.context("sign the revocation list")?).await
}

async fn write(layout: &Layout, list: RevocationList) -> Result<()> {
    let path = layout.crl();
    let writing = tokio::task::spawn_blocking(move || mb_crypto::files::write_public(&path, list.pem.as_bytes()));
    writing.await.context("write crl.pem")?.context("write crl.pem")
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
}

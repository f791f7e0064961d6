//! `certs/crl.pem`, for those outside who ask for a revocation list: inside, the policy decides.
//!
//! The list follows from the store and the CA alone, so whoever holds both can write it at any time; every start does, and
//! so a list that was not written because of a crash is made good.

use std::time::Duration;

use anyhow::{Context, Result};
use mb_server::Authority;

use crate::layout::Layout;

/// A list is written anew when it is older; readers may rely on it for seven days.
pub const RENEW_AFTER: Duration = Duration::from_hours(24);

/// Signs the list of what is revoked now and writes it.
///
/// # Errors
/// The store cannot be read, the file cannot be written.
pub async fn write_crl(layout: &Layout, authority: &Authority) -> Result<()> {
    let list = authority.revocation_list().await.context("sign the revocation list")?;
    let path = layout.crl();
    let writing = tokio::task::spawn_blocking(move || mb_crypto::files::write_public(&path, list.as_bytes()));
    writing.await.context("write crl.pem")?.context("write crl.pem")
}

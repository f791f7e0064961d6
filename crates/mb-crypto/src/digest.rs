//! SHA-256 over several parts, and the ids and fingerprints cut from it.

use aws_lc_rs::digest::{Context, SHA256};

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The first `N` bytes of a digest; `N` is at most 32.
pub(crate) fn head<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&digest[..N]);
    out
}

//! The proxy's own id: by it main servers tell proxies apart that share a certificate, count them, and know whose journal
//! may still need a master key.
//!
//! It names nobody and opens nothing. It is kept, so that a proxy that starts again is the same one. Where it is lost, what
//! the proxy said under it stands until somebody says that it is gone, and no key is destroyed too early.

use std::path::Path;

use mb_core::KeyId;
use mb_crypto::{CryptoError, files};

/// The id in the proxy's folder.
pub(crate) fn open(folder: &Path) -> Result<KeyId, CryptoError> {
    files::kept_id(&folder.join("instance.id"))
}

/// The number by which proxies are counted.
pub(crate) fn number(id: KeyId) -> u64 {
    let (head, _) = id.as_bytes().split_first_chunk::<8>().expect("an id has 16 bytes");
    u64::from_be_bytes(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_keeps_its_id_and_another_has_its_own() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let id = |name: &str| open(&dir.path().join(name)).expect("written");
        let one = id("one");
        assert_eq!(id("one"), one);
        assert_ne!(number(id("two")), number(one));
        std::fs::write(dir.path().join("one/instance.id"), "broken").expect("written");
        assert_ne!(id("one"), one, "what is broken is made anew");
        assert_eq!(id("one"), id("one"));
    }
}

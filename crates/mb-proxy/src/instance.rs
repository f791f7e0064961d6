//! The proxy's own number: by it main servers tell proxies apart that share a certificate, and count them.
//!
//! It names nobody and opens nothing. It is kept, so that a proxy that starts again is not counted twice.

use std::path::Path;

use mb_core::hex;
use mb_crypto::CryptoError;

/// The number in the file at `path`; made where there is none that can be read.
pub(crate) fn open(path: &Path) -> Result<u64, CryptoError> {
    let kept = std::fs::read_to_string(path).ok();
    if let Some(number) = kept.and_then(|text| Some(u64::from_be_bytes(hex::decode(text.trim())?.try_into().ok()?))) {
        return Ok(number);
    }
    let number: [u8; 8] = mb_crypto::random::public_array();
    mb_crypto::files::write_public(path, hex::encode(&number).as_bytes())?;
    Ok(u64::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_keeps_its_number_and_another_has_its_own() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let number = |name: &str| open(&dir.path().join(name)).expect("written");
        let one = number("one");
        assert_eq!(number("one"), one);
        assert_ne!(number("two"), one);
        std::fs::write(dir.path().join("one"), "broken").expect("written");
        assert_eq!(number("one"), number("one"), "what is broken is made anew");
    }
}

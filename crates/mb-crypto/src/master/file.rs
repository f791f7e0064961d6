//! The text form of the master key (`secrets/encryption.key`) and of its public half (`.pub`).
//!
//! A line that names the format and its version, then one `name value` per line. The id is written beside the key and
//! checked when it is read, so that a mistyped or cut key is noticed at start and not when the first message stays shut.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mb_core::policy::MasterPublicKey;
use mb_core::{KeyId, Secret};
use zeroize::Zeroizing;

use super::{MasterKey, id_of};
use crate::CryptoError;

const PRIVATE: &str = "message-broker-master-key 1";
const PUBLIC: &str = "message-broker-master-public-key 1";

impl MasterKey {
    /// The text to keep. Whoever has it can read every message.
    pub fn to_text(&self) -> Secret<String> {
        let seed = Zeroizing::new(STANDARD.encode(self.seed.expose()));
        Secret::new(format!("{PRIVATE}\nid {}\nseed {}\n", self.public.id, *seed))
    }

    /// Reads [`MasterKey::to_text`].
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if it is of another form or the id is not the key's; the error never shows the key.
    pub fn from_text(text: &str) -> Result<Self, CryptoError> {
        let (id, seed) = fields("master key", PRIVATE, "seed", text)?;
        let key = Self::from_seed(Secret::new(*seed))?;
        same_id("master key", id, key.public.id)?;
        Ok(key)
    }
}

/// The public key as text.
pub fn public_to_text(key: &MasterPublicKey) -> String {
    format!("{PUBLIC}\nid {}\nx25519 {}\n", key.id, STANDARD.encode(&key.x25519))
}

/// Reads [`public_to_text`].
///
/// # Errors
/// [`CryptoError::Malformed`] if it is of another form or the id is not the key's.
pub fn public_from_text(text: &str) -> Result<MasterPublicKey, CryptoError> {
    let (id, x25519) = fields("master public key", PUBLIC, "x25519", text)?;
    same_id("master public key", id, id_of(&x25519[..]))?;
    Ok(MasterPublicKey { id, x25519: x25519.to_vec() })
}

fn fields(
    what: &'static str,
    format: &str,
    field: &str,
    text: &str,
) -> Result<(KeyId, Zeroizing<[u8; 32]>), CryptoError> {
    let malformed = |detail: &str| CryptoError::malformed(what, detail);
    let mut lines = text.lines().map(str::trim_end);
    if lines.next() != Some(format) {
        return Err(malformed(&format!("its first line is not {format:?}")));
    }
    let mut value = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let id =
        value("id").and_then(KeyId::parse).ok_or_else(|| malformed("its second line is not `id` and 32 digits"))?;
    let encoded = value(field).ok_or_else(|| malformed(&format!("its third line is not `{field}` and a key")))?;
    if lines.any(|line| !line.is_empty()) {
        return Err(malformed("lines after its end"));
    }
    let bytes = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| malformed("the key is not base64"))?;
    let key = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| malformed("the key is not 32 bytes long"))?;
    Ok((id, Zeroizing::new(key)))
}

fn same_id(what: &'static str, written: KeyId, real: KeyId) -> Result<(), CryptoError> {
    if written == real { Ok(()) } else { Err(CryptoError::malformed(what, "its id is another key's: it was changed")) }
}

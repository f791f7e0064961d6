//! The master keys that a main server holds: the one in use, one that may be prepared, those that were in use before.
//!
//! What is sealed names its key, so all of them open while only one seals: a rotation leaves nothing unreadable at any
//! moment. Which key is in use is said by the files alone (see [`super::key_files`]): who can write to the database, and no
//! more, can neither bring in a key nor bring an old one back.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mb_core::KeyId;
use mb_core::envelope::SignedKey;
use mb_core::policy::MasterPublicKey;
use zeroize::Zeroizing;

use super::key_files::KeyFiles;
use super::{MasterKey, secret_header};
use crate::data_key::DataKey;
use crate::digest::sha256;
use crate::{CryptoError, sealed_value};

/// Which part a key has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Everything new is sealed under it.
    Active,
    /// It opens, and is the next to be active.
    Prepared,
    /// It was active and still opens.
    Retired,
}

/// The master keys of one main server.
#[derive(Debug)]
pub struct MasterKeys {
    held: ArcSwap<Held>,
    /// `None`: they are in memory alone.
    files: Option<KeyFiles>,
    changing: Mutex<()>,
}

/// The keys at one time.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) active: Arc<MasterKey>,
    pub(super) prepared: Option<Arc<MasterKey>>,
    pub(super) retired: Vec<Arc<MasterKey>>,
}

impl Held {
    fn all(&self) -> impl Iterator<Item = (&Arc<MasterKey>, KeyState)> {
        let active = std::iter::once((&self.active, KeyState::Active));
        let prepared = self.prepared.iter().map(|key| (key, KeyState::Prepared));
        active.chain(prepared).chain(self.retired.iter().map(|key| (key, KeyState::Retired)))
    }
}

/// One key in memory alone.
impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        let held = Held { active: Arc::new(key), prepared: None, retired: Vec::new() };
        Self { held: ArcSwap::from_pointee(held), files: None, changing: Mutex::default() }
    }
}

impl MasterKeys {
    /// A new random key in memory alone.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn generate() -> Result<Self, CryptoError> {
        MasterKey::generate().map(Self::from)
    }

    /// Opens the keys of which the active one lies at `path`; `None` if it is missing.
    ///
    /// # Errors
    /// [`CryptoError`] if a key file cannot be read, or can be read by others.
    pub fn open(path: &Path) -> Result<Option<Self>, CryptoError> {
        let files = KeyFiles::new(path);
        let Some(held) = files.read()? else { return Ok(None) };
        Ok(Some(Self { held: ArcSwap::from_pointee(held), files: Some(files), changing: Mutex::default() }))
    }

    /// Makes the first key and writes it to `path`.
    ///
    /// # Errors
    /// [`CryptoError`] if it cannot be made or written.
    pub fn create(path: &Path) -> Result<Self, CryptoError> {
        let mut keys = Self::generate()?;
        let files = KeyFiles::new(path);
        files.write_first(&keys.active())?;
        keys.files = Some(files);
        Ok(keys)
    }

    /// The key that seals.
    pub fn active(&self) -> Arc<MasterKey> {
        Arc::clone(&self.held.load().active)
    }

    /// What proxies wrap data keys to.
    pub fn public(&self) -> MasterPublicKey {
        self.held.load().active.public()
    }

    /// The key with this id, whatever its part.
    pub fn find(&self, id: KeyId) -> Option<Arc<MasterKey>> {
        self.held.load().all().find(|(key, _)| key.id() == id).map(|(key, _)| Arc::clone(key))
    }

    /// All keys, the active one first.
    pub fn list(&self) -> Vec<(KeyId, KeyState)> {
        self.held.load().all().map(|(key, state)| (key.id(), state)).collect()
    }

    /// Reads the files anew, after another has changed them; whether anything is another than before.
    ///
    /// # Errors
    /// [`CryptoError`] if a file cannot be used or the active key's is gone; then everything stays as it was.
    pub fn reload(&self) -> Result<bool, CryptoError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = &self.files else { return Ok(false) };
        let Some(held) = files.read()? else { return Err(files.gone()) };
        let before = self.list();
        self.held.store(Arc::new(held));
        Ok(self.list() != before)
    }

    /// Makes the key that is active next, unless there is one already.
    ///
    /// # Errors
    /// [`CryptoError`] if it cannot be made or written.
    pub fn prepare(&self) -> Result<KeyId, CryptoError> {
        self.change(|held, files| {
            if let Some(prepared) = &held.prepared {
                return Ok(prepared.id());
            }
            let key = MasterKey::generate()?;
            files.map_or(Ok(()), |files| files.write_prepared(&key))?;
            let id = key.id();
            held.prepared = Some(Arc::new(key));
            Ok(id)
        })
    }

    /// Makes the prepared key the active one if it is `id`; whether it did. The one that was active is kept.
    ///
    /// # Errors
    /// [`CryptoError`] if a file cannot be written; the key that was active is active still, or the new one is on disk
    /// and is taken up by the next [`MasterKeys::reload`].
    pub fn activate(&self, id: KeyId) -> Result<bool, CryptoError> {
        self.change(|held, files| {
            let Some(prepared) = held.prepared.clone().filter(|key| key.id() == id) else { return Ok(false) };
            files.map_or(Ok(()), |files| files.activate(&held.active, &prepared))?;
            held.retired.insert(0, std::mem::replace(&mut held.active, prepared));
            held.prepared = None;
            Ok(true)
        })
    }

    /// Destroys a key that is not active; whether there was one. Who may do that, and when, is for the caller to decide.
    ///
    /// # Errors
    /// [`CryptoError`] if the file cannot be removed.
    pub fn delete(&self, id: KeyId) -> Result<bool, CryptoError> {
        self.change(|held, files| {
            let prepared = held.prepared.as_ref().is_some_and(|key| key.id() == id);
            let retired = held.retired.iter().position(|key| key.id() == id);
            if !prepared && retired.is_none() {
                return Ok(false);
            }
            files.map_or(Ok(()), |files| files.remove(id, prepared))?;
            if prepared {
                held.prepared = None;
            }
            held.retired.retain(|key| key.id() != id);
            Ok(true)
        })
    }

    fn change<T>(
        &self,
        step: impl FnOnce(&mut Held, Option<&KeyFiles>) -> Result<T, CryptoError>,
    ) -> Result<T, CryptoError> {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::clone(&self.held.load());
        let outcome = step(&mut held, self.files.as_ref())?;
        self.held.store(Arc::new(held));
        Ok(outcome)
    }

    /// The key that a sealed secret names.
    pub(crate) fn naming(&self, sealed: &[u8]) -> Result<Arc<MasterKey>, CryptoError> {
        let (_, id, _) = secret_header(sealed)?;
        self.find(id).ok_or(CryptoError::UnknownMasterKey(id))
    }

    /// Seals a small secret under the active key; see [`MasterKey::wrap_secret`].
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn wrap_secret(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.active().wrap_secret(context, secret)
    }

    /// Opens what [`MasterKeys::wrap_secret`] sealed for the same context, under whichever key.
    ///
    /// # Errors
    /// As [`MasterKey::unwrap_secret`].
    pub fn unwrap_secret(&self, context: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.naming(wrapped)?.unwrap_secret(context, wrapped)
    }

    /// Seals a secret anew under the active key; `None` if it is already.
    ///
    /// # Errors
    /// As [`MasterKeys::unwrap_secret`].
    pub fn rewrap_secret(&self, context: &str, wrapped: &[u8]) -> Result<Option<Vec<u8>>, CryptoError> {
        let active = self.active();
        if secret_header(wrapped)?.1 == active.id() {
            return Ok(None);
        }
        active.wrap_secret(context, &self.unwrap_secret(context, wrapped)?).map(Some)
    }

    /// Unwraps a data key as its proxy wrapped it. Says nothing about who made it: see
    /// [`crate::data_key::verify_signer`].
    ///
    /// # Errors
    /// As [`MasterKey::unwrap`].
    pub fn unwrap(&self, key: &SignedKey) -> Result<DataKey, CryptoError> {
        self.find(key.master_key_id).ok_or(CryptoError::UnknownMasterKey(key.master_key_id))?.unwrap(key)
    }

    /// Unwraps a data key that [`MasterKeys::rewrap`] sealed for the same record.
    ///
    /// # Errors
    /// As [`sealed_value::open`].
    pub fn unwrap_again(&self, key: &SignedKey, rewrapped: &[u8]) -> Result<DataKey, CryptoError> {
        DataKey::new(key.key_id, &self.rewrapped_bytes(key, rewrapped)?)
    }

    /// Seals a data key under the active key. Its record stays beside it, as the proof of who made it, and is the only one
    /// under which this opens. `rewrapped` is what it was sealed anew to before, if it was; `None` is the answer if that is
    /// the active key.
    ///
    /// # Errors
    /// As [`MasterKeys::unwrap`] and [`MasterKeys::unwrap_again`].
    pub fn rewrap(&self, key: &SignedKey, rewrapped: Option<&[u8]>) -> Result<Option<Vec<u8>>, CryptoError> {
        let active = self.active();
        let bytes = match rewrapped {
            Some(sealed) if secret_header(sealed)?.1 == active.id() => return Ok(None),
            Some(sealed) => self.rewrapped_bytes(key, sealed)?,
            None => {
                let master = self.find(key.master_key_id);
                master.ok_or(CryptoError::UnknownMasterKey(key.master_key_id))?.unwrap_bytes(key)?
            }
        };
        active.seal_under(&active.purpose_key(REWRAPPED)?, &record_digest(key), &bytes).map(Some)
    }

    fn rewrapped_bytes(&self, key: &SignedKey, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let master = self.naming(sealed)?;
        master.open_under(&master.purpose_key(REWRAPPED)?, &record_digest(key), sealed)
    }
}

/// Stays as it is for ever: the key depends on it.
const REWRAPPED: &str = "data_keys.rewrapped";

fn record_digest(key: &SignedKey) -> [u8; 32] {
    sha256(&[&key.encode()])
}

/// Seals a value of a row anew under the active key; `None` if it is already.
///
/// # Errors
/// As [`sealed_value::open`].
pub fn reseal(
    keys: &MasterKeys,
    purpose: sealed_value::Purpose,
    row: &str,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, CryptoError> {
    if sealed_value::master_key_id(sealed)? == keys.active().id() {
        return Ok(None);
    }
    sealed_value::seal(keys, purpose, row, &sealed_value::open(keys, purpose, row, sealed)?).map(Some)
}

#[cfg(test)]
mod tests;

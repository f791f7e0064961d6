//! The audit log's hash chain and its signed checkpoints.
//!
//! Each row's hash is HMAC-SHA-256 over the hash before it and the row's canonical bytes ([`AuditRecord::to_bytes`]), so
//! that a row can be neither changed nor taken out without every later hash being another. The key is derived from the
//! master key: who can write to the database, and no more, computes none of them. A checkpoint also has the chain's head
//! signed by the main server's certificate key, for whoever holds the CA's certificate. What both leave open, that the
//! chain's end is cut off with its checkpoints, shows by the [`Head`] that is kept beside the keys.

mod head;
mod start;

use aws_lc_rs::hmac;
use mb_core::audit::AuditRecord;
use mb_core::{Identity, Role, Secret, Timestamp};

use crate::master::{MasterKey, MasterKeys};
use crate::signature::{CertificateKey, Signed};
use crate::{CryptoError, TrustAnchors};

pub use head::Head;
pub use start::Start;

/// What the chain's key is derived for; changes with the chain.
const KEY_PURPOSE: &[u8] = b"mb-audit-chain-1";

const LINK_SEPARATOR: &[u8] = b"mb-audit-1\0";

const CHECKPOINT_SEPARATOR: &[u8] = b"mb-audit-checkpoint-1\0";

/// What it is wrapped for.
pub const CHAIN_KEY_CONTEXT: &str = "audit-chain-key";

/// The key that makes the chain. It is derived from the first master key, and wrapped by whichever is in use: rows that
/// were chained before a rotation verify after it.
#[derive(Clone)]
pub struct ChainKey {
    bytes: Secret<[u8; 32]>,
    key: hmac::Key,
}

impl ChainKey {
    /// The chain's key under this master key.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn derive(master: &MasterKey) -> Result<Self, CryptoError> {
        master.derived(KEY_PURPOSE).map(|bytes| Self::from_bytes(*bytes))
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes: Secret::new(bytes) }
    }

    /// Wraps it for the store.
    ///
    /// # Errors
    /// As [`MasterKeys::wrap_secret`].
    pub fn wrap(&self, keys: &MasterKeys) -> Result<Vec<u8>, CryptoError> {
        keys.wrap_secret(CHAIN_KEY_CONTEXT, self.bytes.expose())
    }

    /// Takes it from the store.
    ///
    /// # Errors
    /// As [`MasterKeys::unwrap_secret`].
    pub fn unwrap(keys: &MasterKeys, wrapped: &[u8]) -> Result<Self, CryptoError> {
        let bytes = keys.unwrap_secret(CHAIN_KEY_CONTEXT, wrapped)?;
        <[u8; 32]>::try_from(&bytes[..])
            .map(Self::from_bytes)
            .map_err(|_| CryptoError::malformed("audit chain key", "it is not 32 bytes long"))
    }

    /// The hash of a row that follows one with the hash `previous` ([`mb_core::audit::GENESIS`] for the first).
    pub fn link(&self, previous: &[u8; 32], record: &AuditRecord<'_>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [LINK_SEPARATOR, previous, &record.to_bytes()] {
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

impl std::fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainKey").finish_non_exhaustive()
    }
}

/// The head of the chain at some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// When it was signed.
    pub at: Timestamp,
    /// The last row that it covers.
    pub last_id: i64,
    /// That row's hash.
    pub hash: [u8; 32],
}

impl Checkpoint {
    fn to_bytes(self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&self.at.micros().to_be_bytes());
        bytes[8..16].copy_from_slice(&self.last_id.to_be_bytes());
        bytes[16..].copy_from_slice(&self.hash);
        bytes
    }
}

/// The main server's certificate and its key, for checkpoints.
pub struct CheckpointSigner(CertificateKey);

impl CheckpointSigner {
    /// Takes the first certificate of the chain and its key.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] if a part is broken, no P-256 key, or they do not belong together;
    /// [`CryptoError::WrongRole`] if it is no main server's.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, CryptoError> {
        CertificateKey::from_pem(chain_pem, key_pem)?.of_role(Role::Server).map(Self)
    }

    /// What is stored beside each signature: the certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        self.0.certificate()
    }

    /// The signature over a checkpoint.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(CHECKPOINT_SEPARATOR, &checkpoint.to_bytes())
    }
}

impl std::fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointSigner").field("identity", self.0.identity()).finish_non_exhaustive()
    }
}

/// Says which main server signed a checkpoint. Its certificate counts as of the checkpoint's time, so that old ones stay
/// good after it was renewed.
///
/// # Errors
/// [`CryptoError::Malformed`], [`CryptoError::OutsideValidity`], [`CryptoError::Untrusted`], [`CryptoError::WrongRole`],
/// or [`CryptoError::Forged`]: whichever it is, the checkpoint proves nothing.
pub fn verify_checkpoint(
    checkpoint: &Checkpoint,
    certificate: &[u8],
    signature: &[u8],
    anchors: &TrustAnchors,
) -> Result<Identity, CryptoError> {
    let bytes = checkpoint.to_bytes();
    let separator = CHECKPOINT_SEPARATOR;
    Signed { certificate, at: checkpoint.at, separator, bytes: &bytes, signature }.verify(Role::Server, anchors)
}

#[cfg(test)]
mod tests {
    use mb_core::audit::GENESIS;

    use super::*;
    use crate::ca::Ca;
    use crate::fixture::{self, DAY};

    const RECORD: AuditRecord<'static> = AuditRecord {
        id: 1,
        at: Timestamp::from_micros(1_700_000_000_000_000),
        actor: "root",
        action: "user.create",
        object: "a@example.com",
        detail: "{}",
    };

    fn signer(ca: &Ca, role: Role) -> Result<CheckpointSigner, CryptoError> {
        let issued = fixture::issue(ca, role.as_str(), role);
        CheckpointSigner::from_pem(&issued.certificate_pem, issued.private_key_pem.expose())
    }

    fn key() -> ChainKey {
        ChainKey::derive(&MasterKey::generate().expect("a key")).expect("derived")
    }

    fn head(key: &ChainKey, records: &[AuditRecord<'_>]) -> [u8; 32] {
        records.iter().fold(GENESIS, |hash, record| key.link(&hash, record))
    }

    #[test]
    fn no_row_can_be_changed_removed_or_moved() {
        let key = key();
        let head = |rows: &[AuditRecord<'_>]| head(&key, rows);
        let rows: Vec<_> = (1..=4).map(|id| AuditRecord { id, ..RECORD }).collect();
        let whole = head(&rows);
        for at in 0..rows.len() {
            let mut changed = rows.clone();
            changed[at].actor = "nobody";
            assert_ne!(head(&changed), whole, "row {at} changed");
            let mut removed = rows.clone();
            removed.remove(at);
            assert_ne!(head(&removed), whole, "row {at} removed");
            let mut moved = rows.clone();
            moved.swap(at, (at + 1) % rows.len());
            assert_ne!(head(&moved), whole, "row {at} moved");
        }
    }

    /// By another implementation (Python, hmac and hashlib).
    #[test]
    fn the_first_link_stays_as_it_is() {
        let master = MasterKey::from_text(include_str!("../tests/golden/master-key-v1.txt")).expect("a master key");
        let key = ChainKey::derive(&master).expect("derived");
        assert_eq!(
            mb_core::hex::encode(&key.link(&GENESIS, &RECORD)),
            "fa23558c9c1f3e611ebf082deec3ea7f34eaad25b4ab9dc0d84e76c628b4b2b4"
        );
    }

    #[test]
    fn another_master_key_makes_another_chain() {
        assert_ne!(head(&key(), &[RECORD]), head(&key(), &[RECORD]));
    }

    #[test]
    fn a_checkpoint_proves_itself_and_nothing_else() {
        let ca = fixture::ca();
        let anchors = TrustAnchors::from_pem(ca.certificate_pem()).expect("a CA");
        let server = signer(&ca, Role::Server).expect("a signer");
        let checkpoint = Checkpoint { at: fixture::now(), last_id: 1, hash: head(&key(), &[RECORD]) };
        let signature = server.sign(&checkpoint).expect("signed");
        let check = |checkpoint: &Checkpoint, signature: &[u8], anchors: &TrustAnchors| {
            verify_checkpoint(checkpoint, server.certificate(), signature, anchors)
        };
        assert_eq!(check(&checkpoint, &signature, &anchors).expect("verified").role, Role::Server);
        for other in [
            Checkpoint { at: checkpoint.at.plus(std::time::Duration::from_secs(1)), ..checkpoint },
            Checkpoint { last_id: 2, ..checkpoint },
            Checkpoint { hash: GENESIS, ..checkpoint },
        ] {
            assert!(matches!(check(&other, &signature, &anchors), Err(CryptoError::Forged)), "{other:?}");
        }
        assert!(matches!(check(&checkpoint, &signature[1..], &anchors), Err(CryptoError::Forged)));
        let strangers = TrustAnchors::from_pem(fixture::ca().certificate_pem()).expect("a CA");
        assert!(matches!(check(&checkpoint, &signature, &strangers), Err(CryptoError::Untrusted(_))));
        let late = Checkpoint { at: checkpoint.at.plus(2 * DAY), ..checkpoint };
        let signature = server.sign(&late).expect("signed");
        assert!(matches!(check(&late, &signature, &anchors), Err(CryptoError::OutsideValidity)));
    }

    #[test]
    fn only_a_main_server_signs() {
        let ca = fixture::ca();
        for role in [Role::Proxy, Role::Worker, Role::Portal, Role::Admin] {
            assert!(matches!(signer(&ca, role), Err(CryptoError::WrongRole(found)) if found == role), "{role}");
        }
    }
}

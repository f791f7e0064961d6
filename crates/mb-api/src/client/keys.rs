//! Master keys.

use http::Method;
use mb_core::KeyId;

use super::{Client, ClientError, DEADLINE, bare};
use crate::dto::{KeyReport, MasterKey, MasterKeys, RewrapKeys, RewrapProgress};
use crate::paths::{self, with_id};

impl Client {
    /// The master keys, and what needs them.
    pub async fn master_keys(&self) -> Result<MasterKeys, ClientError> {
        self.get(paths::KEYS).await
    }

    /// Makes the key that is active next.
    pub async fn prepare_key(&self) -> Result<MasterKey, ClientError> {
        self.json(bare(Method::POST, paths::KEYS_PREPARE)?, DEADLINE).await
    }

    /// Makes the prepared key, or a new one, the active one.
    pub async fn rotate_key(&self) -> Result<MasterKey, ClientError> {
        self.json(bare(Method::POST, paths::KEYS_ROTATE)?, DEADLINE).await
    }

    /// A step of sealing anew.
    pub async fn rewrap_keys(&self, ask: &RewrapKeys) -> Result<RewrapProgress, ClientError> {
        self.post(paths::KEYS_REWRAP, ask, None).await
    }

    /// Destroys a key that nothing needs.
    pub async fn delete_key(&self, id: &KeyId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::KEY, id)).await
    }

    /// Forgets a proxy whose journal is no more.
    pub async fn forget_key_proxy(&self, journal: &KeyId) -> Result<(), ClientError> {
        self.delete(&with_id(paths::KEY_PROXY, journal)).await
    }

    /// Says which master keys a proxy needs.
    pub async fn report_keys(&self, report: &KeyReport) -> Result<(), ClientError> {
        self.tell(Method::POST, paths::KEY_REPORT, report).await
    }
}

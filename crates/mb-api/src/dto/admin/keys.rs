//! Master keys: which there are, what needs them, and how they are rotated (contract, section 6, `keys`).

use mb_core::{KeyId, Timestamp};
use utoipa::ToSchema;

use crate::schema;

/// Which part a master key has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Everything new is sealed under it.
    Active,
    /// It opens, and is the next to be active.
    Prepared,
    /// It was active and still opens.
    Retired,
    /// Something is sealed under it, and this main server does not have it.
    Missing,
}

/// A master key.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MasterKeyRow {
    /// The key's id.
    #[schema(value_type = schema::Hex128)]
    pub id: KeyId,
    /// Which part it has.
    pub state: KeyState,
    /// How many stored data keys and secrets need it.
    pub uses: u64,
    /// The proxies in whose journals something needs it, or may come to need it.
    pub proxies: Vec<KeyProxy>,
}

/// A proxy that has said which master keys it needs.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct KeyProxy {
    /// The id of its journal.
    #[schema(value_type = schema::Hex128)]
    pub id: KeyId,
    /// The name in its certificate.
    pub name: String,
    /// When it said so.
    #[schema(value_type = schema::Timestamp)]
    pub reported_at: Timestamp,
}

/// The master keys.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MasterKeys {
    /// The active one first.
    pub data: Vec<MasterKeyRow>,
}

/// A key that was made, or came into use.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct MasterKey {
    /// The key's id.
    #[schema(value_type = schema::Hex128)]
    pub id: KeyId,
    /// Which part it has.
    pub state: KeyState,
}

/// Asks for the next step of sealing anew.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RewrapKeys {
    /// `next` of the step before; absent: begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What a step of sealing anew has done.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RewrapProgress {
    /// How many were sealed anew under the active key.
    pub rewrapped: u64,
    /// How many could not be opened, and stay as they are.
    pub unreadable: u64,
    /// How many are not sealed under the active key.
    pub left: u64,
    /// Where to go on; `null`: everything was looked at.
    pub next: Option<String>,
}

/// A proxy's word on which master keys it needs.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyReport {
    /// The id of its journal.
    #[schema(value_type = schema::Hex128)]
    pub journal: KeyId,
    /// The keys that something in its journal is sealed under, or may be from now on.
    #[schema(value_type = Vec<schema::Hex128>)]
    pub master_keys: Vec<KeyId>,
}

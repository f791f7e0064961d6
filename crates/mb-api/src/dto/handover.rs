//! How messages get from the edge into the store: register, confirm, policy.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use mb_core::policy::CertificateRef;
use mb_core::{JournalBacklog, JournalFaults, KeyId, MessageId, Policy, Timestamp};
use utoipa::{IntoParams, ToSchema};

use super::delivery::LeasedDeliveries;
use crate::schema;

/// The store's identity: a random value minted at creation and at every restore. An edge that sees a new one offers
/// everything it keeps again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 lower-case hexadecimal digits, as every 128-bit value that is no message id.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyId::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Epoch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        KeyId::deserialize(deserializer).map(|value| Self(*value.as_bytes()))
    }
}

/// What became of one envelope.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegisterResult {
    /// It is in the store.
    Stored,
    /// It was there already.
    Duplicate,
    /// It cannot be a message; it is kept as a dead letter, with this reason.
    Quarantined(Cow<'static, str>),
    /// It is not authentic; nothing is stored, with this reason.
    Refused(Cow<'static, str>),
}

/// The answer to a batch of envelopes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct RegisterAnswer {
    /// The store's epoch.
    #[schema(value_type = schema::Hex128)]
    pub epoch: Epoch,
    /// One result per envelope, in order.
    pub results: Vec<RegisterResult>,
    /// What the worker takes along to deliver.
    #[serde(default, skip_serializing_if = "LeasedDeliveries::is_empty")]
    pub leased: LeasedDeliveries,
}

/// A proxy's question: which of these does the store lack?
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Ids that the proxy keeps; at most `mb_core::handover::MAX_ENVELOPES`.
    #[schema(value_type = Vec<schema::MessageId>)]
    pub ids: Vec<MessageId>,
}

/// The ids to forward again.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ConfirmAnswer {
    /// The store's epoch.
    #[schema(value_type = schema::Hex128)]
    pub epoch: Epoch,
    /// Those of the request that the store has neither as a message nor as a dead letter.
    #[schema(value_type = Vec<schema::MessageId>)]
    pub lacking: Vec<MessageId>,
}

/// What a proxy holds and the newest policy does not name: revocations, and messages that were expunged.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownForGood {
    /// The certificates.
    #[schema(value_type = Vec<schema::AnyObject>)]
    pub revoked: Vec<CertificateRef>,
    /// The messages, and when each was expunged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = schema::AnyObject)]
    pub expunged: BTreeMap<MessageId, Timestamp>,
}

/// What of it is still open.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct OpenForGood {
    /// Certificates that are good here until the store is given a new epoch; whoever told of them goes on refusing them.
    #[schema(value_type = Vec<schema::AnyObject>)]
    pub open: Vec<CertificateRef>,
    /// Messages of which the store does not know until then that they were expunged; whoever told of them goes on keeping
    /// them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::MessageId>)]
    pub expunged: Vec<MessageId>,
}

/// The query of the policy's long poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PolicyQuery {
    /// The version that the caller holds; absent: answer at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Of a caller that was out of touch: the version that it holds all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knew: Option<u64>,
    /// The number of live proxies in it; absent: a change of that alone is no news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<u32>,
    /// A proxy's own number: several may share a certificate, and each counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u64>,
    /// What time it is there, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<i64>,
    /// Of a proxy: entries of its journal that were found damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<u64>,
    /// Of a proxy: entries set aside because they are older than the horizon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Of a proxy: entries set aside because the main server refuses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// Of a proxy: entries of its journal that the store has not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Of a proxy: when the oldest of them was accepted, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<i64>,
}

impl PolicyQuery {
    /// The question of who holds this policy, or none.
    pub fn of(held: Option<&Policy>) -> Self {
        let (since, proxies) = held.map(|policy| (policy.version, policy.limits.proxies)).unzip();
        Self { since, proxies, ..Self::default() }
    }

    /// The same, with what is wrong with the asking proxy's journal.
    #[must_use]
    pub fn with_faults(self, faults: JournalFaults) -> Self {
        let JournalFaults { damaged, stale, refused } = faults;
        Self { damaged: Some(damaged), stale: Some(stale), refused: Some(refused), ..self }
    }

    /// The same, with what waits in it.
    #[must_use]
    pub fn with_backlog(self, backlog: JournalBacklog) -> Self {
        let JournalBacklog { waiting, oldest } = backlog;
        Self { waiting: Some(waiting), oldest: oldest.map(Timestamp::micros), ..self }
    }

    /// What waits in the asking proxy's journal.
    pub fn backlog(&self) -> JournalBacklog {
        let oldest = self.oldest.map(Timestamp::from_micros);
        JournalBacklog { waiting: self.waiting.unwrap_or(0), oldest }
    }

    /// What is wrong with the asking proxy's journal; `None` if it does not say.
    pub fn faults(&self) -> Option<JournalFaults> {
        Some(JournalFaults { damaged: self.damaged?, stale: self.stale?, refused: self.refused? })
    }
}

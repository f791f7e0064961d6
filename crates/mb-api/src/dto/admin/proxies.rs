//! Proxies as the main servers see them.

use mb_core::Timestamp;
use utoipa::ToSchema;

use crate::schema;

/// A proxy, as it was when it last asked for news.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ProxyRow {
    /// Its own, however many share its certificate.
    pub id: String,
    /// The name in its certificate.
    pub name: String,
    /// Whether it has asked lately: the live ones share the limits of clients.
    pub is_live: bool,
    /// When it last asked.
    #[schema(value_type = schema::Timestamp)]
    pub seen_at: Timestamp,
    /// The policy that it holds; `null` before its first.
    pub policy_version: Option<u64>,
    /// Whether that is the newest one.
    pub policy_current: bool,
    /// Milliseconds that its clock is ahead of the main server's; `null` if it did not say what time it is there.
    pub clock_ahead_ms: Option<i64>,
    /// Entries of its journal that were found damaged.
    pub damaged: u64,
    /// Entries set aside because they are older than the horizon.
    pub stale: u64,
    /// Entries set aside because the main server refuses them.
    pub refused: u64,
    /// Messages that it had accepted and that were not in the store.
    pub journal_depth: u64,
    /// When the oldest of them was accepted.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub journal_oldest_at: Option<Timestamp>,
}

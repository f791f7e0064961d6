//! What is on its way: from journals through the queue into the store, and from there to destinations.

use mb_core::{DestinationId, DestinationKind, DestinationName, DestinationState, DomainName, Timestamp};
use utoipa::ToSchema;

use crate::dto::worker::{PendingUnits, QueueKind};
use crate::schema;

/// What is on its way.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct QueueReport {
    /// Messages that were accepted and are not in the store, of all live proxies.
    pub waiting: u64,
    /// When the oldest of them was accepted; `null`: none waits.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub oldest_at: Option<Timestamp>,
    /// The same of each proxy, as it said when it last asked for news.
    pub proxies: Vec<ProxyBacklog>,
    /// The queue between proxies and workers, as the worker said that was heard of last; `null`: none was heard of.
    pub queue: Option<QueueRow>,
    /// What proxies have set aside: an operator decides about it there.
    pub set_aside: SetAside,
    /// What waits for destinations, the longest due first; at most 100.
    pub destinations: Vec<DestinationLanes>,
    /// Dead letters, up to a million.
    pub dead_letters: u64,
}

/// What waits in a proxy's journal.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ProxyBacklog {
    /// The proxy.
    pub id: String,
    /// The name in its certificate.
    pub name: String,
    /// Whether it has asked lately.
    pub is_live: bool,
    /// When it said so.
    #[schema(value_type = schema::Timestamp)]
    pub seen_at: Timestamp,
    /// Messages that it has accepted and that are not in the store.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub oldest_at: Option<Timestamp>,
}

/// The queue as a worker sees it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct QueueRow {
    /// What carries it.
    pub backend: QueueKind,
    /// What waits there: units of one or more messages in Redis; embedded, the journal's unconfirmed messages.
    pub depth: u64,
    /// For how long that worker cannot use it.
    pub failing_seconds: u64,
    /// What each consumer has taken and not acknowledged, those that are no more included.
    pub pending: Vec<PendingUnits>,
    /// Which worker said so.
    pub reported_by: String,
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub reported_at: Timestamp,
}

/// Entries of journals that are not handed over by themselves any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct SetAside {
    /// Found damaged.
    pub damaged: u64,
    /// Older than the horizon.
    pub stale: u64,
    /// Refused by the main server.
    pub refused: u64,
}

/// What waits for a destination.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct DestinationLanes {
    /// The destination.
    #[schema(value_type = schema::DestinationId)]
    pub id: DestinationId,
    /// Its domain.
    #[schema(value_type = schema::DomainName)]
    pub domain: DomainName,
    /// Its name.
    #[schema(value_type = schema::DestinationName)]
    pub name: DestinationName,
    /// How it gets them.
    #[schema(value_type = schema::DestinationKind)]
    pub kind: DestinationKind,
    /// How it stands.
    #[schema(value_type = schema::DestinationState)]
    pub state: DestinationState,
    /// What was never tried.
    pub fresh: Lane,
    /// What was tried before.
    pub tried: Lane,
}

/// One of the two lanes to a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Lane {
    /// Deliveries that are open, those for later included; counted up to 1000.
    pub waiting: u64,
    /// Those of the counted that are a worker's or consumer's at the moment.
    pub leased: u64,
    /// When the first was due, or its lease ends; `null`: there is none.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub due_at: Option<Timestamp>,
}

//! Clients: who may submit. They come with their first certificate and are archived, never deleted.

use mb_core::{ClientName, ClientStatus, DomainName, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{List, NameCursor};
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Which clients to list, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ClientQuery {
    /// Their tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::DomainName>)]
    pub domain: Option<DomainName>,
    /// Whether they may act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::ClientStatus>)]
    pub status: Option<ClientStatus>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl ClientQuery {
    /// The number of rows and the name after which they start.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<NameCursor>), ApiError> {
        page::resolve(List::Clients, self.limit, self.cursor.as_deref())
    }
}

/// A client.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ClientRow {
    /// Its name, as all rows have an id.
    #[schema(value_type = schema::ClientName)]
    pub id: ClientName,
    /// Its name, as messages and certificates call it.
    #[schema(value_type = schema::ClientName)]
    pub client_id: ClientName,
    /// Its tenant.
    #[schema(value_type = schema::DomainName)]
    pub domain: DomainName,
    /// Whether it may act.
    #[schema(value_type = schema::ClientStatus)]
    pub status: ClientStatus,
    /// Messages per 60 s; 0 is no limit, `null` its domain's.
    pub rate_limit: Option<u32>,
    /// Since when it is known.
    #[schema(value_type = schema::Timestamp)]
    pub created_at: Timestamp,
    /// When its status was last set.
    #[schema(value_type = schema::Timestamp)]
    pub changed_at: Timestamp,
}

/// Suspends, resumes or archives a client; holds from its next request.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetClientStatus {
    /// Whether it may act.
    #[schema(value_type = schema::ClientStatus)]
    pub status: ClientStatus,
}

/// Gives a client a rate limit of its own. The member has to be there: what is forgotten takes nothing away.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetClientRateLimit {
    /// Messages per 60 s; 0 is no limit, `null` its domain's.
    #[schema(required = true, maximum = 1_000_000)]
    #[serde(deserialize_with = "serde::Deserialize::deserialize")]
    pub rate_limit: Option<u32>,
}

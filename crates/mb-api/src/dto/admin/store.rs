//! The store as a whole.

use utoipa::ToSchema;

use crate::dto::Epoch;
use crate::schema;

/// A new epoch of the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct NewEpoch {
    /// What proxies compare: one that sees a new one offers everything that it keeps again.
    #[schema(value_type = schema::Hex128)]
    pub epoch: Epoch,
}

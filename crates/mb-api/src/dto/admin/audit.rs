//! The audit log: who did what, and whether the log is whole.

use mb_core::Timestamp;
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{Cursor, List};
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Which rows to list, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Who did it: a user's address, or a certificate's role and name, e.g. `admin:admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// How the action begins, e.g. `user.`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// To what it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// At or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Timestamp>)]
    pub from: Option<Timestamp>,
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline, value_type = Option<schema::Timestamp>)]
    pub to: Option<Timestamp>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl AuditQuery {
    /// The number of rows and the position after which they start; [`Cursor::place`] is the row's id.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        page::resolve(List::Audit, self.limit, self.cursor.as_deref())
    }
}

/// A row of the audit log.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct AuditRow {
    /// Its id.
    pub id: i64,
    /// When.
    #[schema(value_type = schema::Timestamp)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done, `thing.verb`.
    pub action: String,
    /// To what.
    pub object: String,
    /// More.
    #[schema(value_type = schema::AnyObject)]
    pub detail: serde_json::Map<String, serde_json::Value>,
    /// Its place in the chain; `null` until it is chained, within a second.
    pub position: Option<u64>,
    /// The chain's hash up to it, lower hexadecimal.
    pub hash: Option<String>,
}

/// Where to go on checking: a call checks a bounded stretch.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditVerifyQuery {
    /// [`AuditReport::next`] of the call before; absent: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How a part of the log is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFaultKind {
    /// A row is not what it was when it was chained.
    Changed,
    /// A place of the chain has no row.
    Missing,
    /// A row names another hash before it than the one that is there.
    Broken,
    /// A checkpoint's signature is not genuine.
    BadSignature,
    /// A checkpoint names another hash than the chain has there.
    BadCheckpoint,
    /// The log held more, as its head outside the database shows.
    CutOff,
    /// The log's head outside the database is gone or not genuine.
    NoHead,
    /// Rows that should be signed by a checkpoint are not.
    Unsigned,
    /// A row that should have a place in the chain has none.
    Unchained,
}

/// Something wrong with the log.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct AuditFault {
    /// How it is wrong.
    pub kind: AuditFaultKind,
    /// The place in the chain.
    pub position: u64,
    /// In words.
    pub detail: String,
}

/// What checking found.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct AuditReport {
    /// Whether nothing is wrong with this stretch.
    pub intact: bool,
    /// Rows checked by this call.
    pub rows: u64,
    /// Checkpoints checked by this call.
    pub checkpoints: u64,
    /// The last place in the chain that this call checked; `null` if there was none.
    pub last_position: Option<u64>,
    /// The place that the newest genuine checkpoint of this stretch signs; later rows are chained, not signed.
    pub signed_position: Option<u64>,
    /// Rows that are not chained yet; only on the last stretch.
    pub unchained: u64,
    /// What is wrong, the first 100.
    pub faults: Vec<AuditFault>,
    /// Where to go on; `null` once the end was reached.
    pub next: Option<String>,
}

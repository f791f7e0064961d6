//! Notices: what a person should know and nobody asked for.

use mb_core::{NoticeId, NoticeKind, NoticeLevel, Timestamp};
use utoipa::{IntoParams, ToSchema};

use crate::cursor::{Cursor, List};
use crate::page;
use crate::problem::ApiError;
use crate::schema;

/// Which notices to list, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NoticeQuery {
    /// `true` lists the resolved ones as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<bool>,
    /// Rows wanted, 50 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl NoticeQuery {
    /// The number of rows and the position after which they start; [`Cursor::place`] is the notice's id.
    ///
    /// # Errors
    /// 422 if the limit is out of range or the cursor is none of ours.
    pub fn resolve(&self) -> Result<(u32, Option<Cursor>), ApiError> {
        page::resolve(List::Notices, self.limit, self.cursor.as_deref())
    }
}

/// A notice.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct NoticeRow {
    /// Its id.
    #[schema(value_type = schema::NoticeId)]
    pub id: NoticeId,
    /// What it is about.
    #[schema(value_type = schema::NoticeKind)]
    pub kind: NoticeKind,
    /// Which one of these: the certificate, the destination, the proxy.
    pub about: String,
    /// How serious it is.
    #[schema(value_type = schema::NoticeLevel)]
    pub level: NoticeLevel,
    /// What is known, by kind.
    #[schema(value_type = schema::AnyObject)]
    pub detail: serde_json::Map<String, serde_json::Value>,
    /// When it was first seen.
    #[schema(value_type = schema::Timestamp)]
    pub first_at: Timestamp,
    /// When it was last seen.
    #[schema(value_type = schema::Timestamp)]
    pub last_at: Timestamp,
    /// How often it was seen.
    pub count: u64,
    /// When it was resolved; `null` while it is open.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub resolved_at: Option<Timestamp>,
    /// When admins were mailed.
    #[schema(value_type = Option<schema::Timestamp>)]
    pub mailed_at: Option<Timestamp>,
}

//! Which tables an archive holds and what is in their columns. A test compares this with the database's own word, so a
//! migration that adds a table or a column has to say here what a backup does with it.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use self::Kind::{Blob, Int, Text, Time};

/// What a column holds. `SQLite` keeps times as numbers, so the column alone does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Int,
    Time,
    Text,
    Blob,
}

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// The table of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// The column of that name, as it is written in a statement.
    pub(crate) fn column(&self, name: &str) -> Option<&'static str> {
        self.columns.iter().map(|&(column, _)| column).find(|column| *column == name)
    }

    /// All rows, columns in the order of [`Table::columns`].
    pub(crate) fn select(&self) -> SqlStr {
        let columns = self.columns.iter().map(|&(column, _)| column).collect::<Vec<_>>().join(", ");
        statement(format!("SELECT {columns} FROM {}", self.name))
    }

    pub(crate) fn count(&self) -> SqlStr {
        statement(format!("SELECT COUNT(*) FROM {}", self.name))
    }

    /// An insert of `rows` rows into the named columns, which are this table's.
    pub(crate) fn insert(&self, columns: &[&'static str], rows: usize) -> SqlStr {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let rows = vec![row.as_str(); rows].join(", ");
        statement(format!("INSERT INTO {} ({}) VALUES {rows}", self.name, columns.join(", ")))
    }
}

/// A statement over names that stand in this file.
pub(crate) fn statement(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

/// What is emptied by a restore, children before parents.
pub(crate) fn to_empty() -> impl Iterator<Item = &'static str> {
    FLEETING.iter().copied().chain(TABLES.iter().rev().map(|table| table.name))
}

/// What lives for a moment only: sign-ins, rights that expire, mail on its way, who was heard of; and how far retention has
/// come, for what is put back is gone through anew.
pub(crate) const FLEETING: &[&str] = &[
    "refresh_tokens",
    "reset_tokens",
    "sign_in_networks",
    "sessions",
    "enrolment_tokens",
    "leases",
    "mail_outbox",
    "proxies",
    "workers",
    "probes",
    "retention_progress",
];

/// Parents before children, as foreign keys want it.
pub(crate) const TABLES: &[Table] = &[
    Table { name: "settings", columns: &[("name", Text), ("value", Blob)] },
    Table {
        name: "domains",
        columns: &[
            ("name", Text),
            ("created_at", Time),
            ("sender_number", Text),
            ("body_limit", Int),
            ("rate_limit", Int),
            ("retention_days", Int),
            ("body_retention_days", Int),
        ],
    },
    Table {
        name: "clients",
        columns: &[
            ("name", Text),
            ("domain", Text),
            ("status", Text),
            ("created_at", Time),
            ("changed_at", Time),
            ("rate_limit", Int),
        ],
    },
    Table {
        name: "users",
        columns: &[
            ("id", Int),
            ("email", Text),
            ("password_hash", Text),
            ("role", Text),
            ("client", Text),
            ("active", Int),
            ("created_at", Time),
            ("may_send", Int),
            ("expires_at", Time),
            ("password_changed_at", Time),
            ("generation", Int),
            ("totp_secret", Blob),
            ("totp_enabled_at", Time),
            ("totp_last_step", Int),
            ("time_zone", Text),
        ],
    },
    Table { name: "recovery_codes", columns: &[("id", Int), ("user_id", Int), ("hash", Blob)] },
    Table {
        name: "certificates",
        columns: &[
            ("id", Int),
            ("issuer", Blob),
            ("serial", Blob),
            ("fingerprint", Text),
            ("name", Text),
            ("role", Text),
            ("domain", Text),
            ("not_before", Time),
            ("not_after", Time),
            ("certificate_pem", Text),
            ("created_at", Time),
            ("revoked_at", Time),
            ("revocation_reason", Text),
            ("renewed_from", Blob),
        ],
    },
    Table {
        name: "data_keys",
        columns: &[
            ("key_id", Blob),
            ("master_key_id", Blob),
            ("record", Blob),
            ("proxy_name", Text),
            ("proxy_serial", Blob),
            ("created_at", Time),
            ("rewrapped", Blob),
        ],
    },
    Table {
        name: "key_reports",
        columns: &[("reporter", Blob), ("role", Text), ("name", Text), ("master_keys", Blob), ("reported_at", Time)],
    },
    Table {
        name: "messages",
        columns: &[
            ("seq", Int),
            ("message_id", Blob),
            ("client_id", Text),
            ("domain", Text),
            ("topic", Text),
            ("queued_at", Time),
            ("deliver_at", Time),
            ("expires_at", Time),
            ("key_id", Blob),
            ("sender_number_hashed", Blob),
            ("encrypted_body", Blob),
            ("status", Text),
            ("attempt_count", Int),
            ("registered_at", Time),
            ("delivered_at", Time),
            ("failed_at", Time),
            ("last_error", Text),
        ],
    },
    Table {
        name: "destinations",
        columns: &[
            ("id", Int),
            ("domain", Text),
            ("name", Text),
            ("is_live", Int),
            ("kind", Text),
            ("state", Text),
            ("state_reason", Text),
            ("url", Text),
            ("topics", Text),
            ("clients", Text),
            ("retry", Text),
            ("concurrency", Int),
            ("rate", Int),
            ("secret", Blob),
            ("previous_secret", Blob),
            ("previous_until", Time),
            ("ca", Text),
            ("client_certificate", Text),
            ("client_key", Blob),
            ("created_at", Time),
            ("changed_at", Time),
            ("breaker", Text),
            ("breaker_until", Time),
            ("version", Int),
            ("older_secret", Blob),
            ("older_until", Time),
        ],
    },
    Table {
        name: "deliveries",
        columns: &[
            ("message_id", Blob),
            ("destination_id", Int),
            ("state", Text),
            ("lane", Int),
            ("due_at", Time),
            ("expires_at", Time),
            ("attempts", Int),
            ("lease_id", Blob),
            ("leased_by", Text),
            ("last_error", Text),
            ("created_at", Time),
            ("finished_at", Time),
        ],
    },
    Table {
        name: "attempts",
        columns: &[
            ("id", Int),
            ("message_id", Blob),
            ("attempt_id", Blob),
            ("destination_id", Int),
            ("at", Time),
            ("duration_us", Int),
            ("class", Text),
            ("status", Int),
            ("detail", Text),
            ("answer", Blob),
            ("worker", Text),
        ],
    },
    Table {
        name: "dead_letters",
        columns: &[
            ("id", Int),
            ("message_id", Blob),
            ("digest", Blob),
            ("reason", Text),
            ("envelope", Blob),
            ("client_id", Text),
            ("domain", Text),
            ("topic", Text),
            ("queued_at", Time),
            ("deliver_at", Time),
            ("expires_at", Time),
            ("created_at", Time),
            ("destination_id", Int),
        ],
    },
    Table { name: "tombstones", columns: &[("message_id", Blob), ("expunged_at", Time)] },
    Table {
        name: "tallies",
        columns: &[
            ("kind", Text),
            ("hour", Int),
            ("domain", Text),
            ("value", Text),
            ("instance", Text),
            ("count", Int),
        ],
    },
    Table {
        name: "counters",
        columns: &[("instance", Text), ("hour", Int), ("domain", Text), ("event", Text), ("count", Int)],
    },
    Table {
        name: "audit_log",
        columns: &[
            ("id", Int),
            ("at", Time),
            ("actor", Text),
            ("action", Text),
            ("object", Text),
            ("detail", Text),
            ("position", Int),
            ("prev_hash", Blob),
            ("hash", Blob),
        ],
    },
    Table {
        name: "audit_checkpoints",
        columns: &[
            ("id", Int),
            ("at", Time),
            ("position", Int),
            ("audit_id", Int),
            ("hash", Blob),
            ("signature", Blob),
            ("certificate", Text),
        ],
    },
    Table {
        name: "notices",
        columns: &[
            ("id", Int),
            ("kind", Text),
            ("about", Text),
            ("is_open", Int),
            ("level", Text),
            ("detail", Text),
            ("first_at", Time),
            ("last_at", Time),
            ("count", Int),
            ("resolved_at", Time),
            ("mailed_at", Time),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mb_core::Clock;
    use sqlx::Row as _;

    use super::*;
    use crate::Store;
    use crate::backend::Backend;

    #[tokio::test]
    async fn every_table_and_column_is_kept_or_left_out_on_purpose() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("store.db").display().to_string();
        let store = Store::open(&path, Clock::System).await.expect("opens");
        store.migrate().await.expect("migrates");
        let Backend::Sqlite(db) = store.backend() else { panic!("a path is SQLite's") };
        let sql = "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
                   WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> '_sqlx_migrations'";
        let rows = sqlx::query(sql).fetch_all(db.writer()).await.expect("reads");
        let there = rows.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)));
        let there = there.filter(|(table, _)| !FLEETING.contains(&table.as_str())).collect::<BTreeSet<_>>();
        let kept = TABLES
            .iter()
            .flat_map(|table| table.columns.iter().map(|(column, _)| (table.name.to_owned(), (*column).to_owned())));
        assert_eq!(kept.collect::<BTreeSet<_>>(), there);
        store.close().await;
    }
}

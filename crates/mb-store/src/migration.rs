//! Schema migrations: numbered files, embedded, each applied once, the same numbers for every database. In `SQLite` each is
//! a transaction; `MySQL` commits with every statement that changes the schema, so there a file that broke off half way is
//! refused until a person has seen to it.
//!
//! A released file is never edited (its checksum is kept in the database). A database that a newer program has migrated
//! is refused: writing to a schema that one does not know is how data gets lost.

use std::collections::BTreeSet;

use sqlx::migrate::{Migrate, Migrator};

use crate::Store;
use crate::backend::Backend;
use crate::error::StoreError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");

/// A migration and whether the database has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MigrationStatus {
    /// Its number; they are applied in order.
    pub version: i64,
    /// What it is about.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

impl Store {
    /// Applies every migration that the database lacks and returns these. Nothing to do is not an error. Of several
    /// servers that start together one migrates, and the others wait for it.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`] if a newer program was here; [`StoreError::Migration`] if a file changed after its
    /// release or does not succeed.
    pub async fn migrate(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let before = match self.backend() {
            Backend::Sqlite(db) => {
                let before = self.migration_status().await?;
                SQLITE.run(db.writer()).await?;
                before
            }
            Backend::MySql(db) => {
                let migrating = db.begin_migrating().await?;
                let before = self.migration_status().await?;
                migrating.run(&MYSQL).await?;
                before
            }
        };
        let lacking = before.into_iter().filter(|migration| !migration.applied);
        Ok(lacking.map(|migration| MigrationStatus { applied: true, ..migration }).collect())
    }

    /// Every migration that this program knows, in order.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`] if a newer program was here.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let (migrator, applied) = match self.backend() {
            Backend::Sqlite(db) => {
                let mut connection = db.writer().acquire().await?;
                connection.ensure_migrations_table(&SQLITE.table_name).await?;
                (&SQLITE, connection.list_applied_migrations(&SQLITE.table_name).await?)
            }
            Backend::MySql(db) => (&MYSQL, db.applied(&MYSQL).await?),
        };
        let applied = applied.iter().map(|migration| migration.version).collect::<BTreeSet<_>>();
        check_schema(applied.last().copied().unwrap_or(0))?;
        let status = |migration: &sqlx::migrate::Migration| MigrationStatus {
            version: migration.version,
            description: migration.description.clone().into_owned(),
            applied: applied.contains(&migration.version),
        };
        Ok(migrator.iter().map(status).collect())
    }
}

/// Whether this program can read what has schema `found`, a database or a backup.
///
/// # Errors
/// [`StoreError::SchemaNewer`] if a newer program made it.
pub fn check_schema(found: i64) -> Result<(), StoreError> {
    let known = SQLITE.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known { Err(StoreError::SchemaNewer { found, known }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_database_have_the_same_migrations_by_number_and_each_number_once() {
        let of = |migrator: &Migrator| {
            migrator.iter().map(|step| (step.version, step.description.clone())).collect::<Vec<_>>()
        };
        let steps = of(&SQLITE);
        assert_eq!(steps, of(&MYSQL));
        assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0), "{steps:?}");
    }

    /// What is more than an addition, by number and by its words, with the reason why a program of the version before goes
    /// on working beside it.
    const BESIDE: [(i64, &str, &str); 2] = [
        (2, "UPDATE users SET password_changed_at", "fills a column that the same file adds"),
        (2, "UNIQUE INDEX audit_log_position", "is on a column that the same file adds, in which nothing is yet"),
    ];

    /// The statements of a file, on one line each and in words.
    fn statements(sql: &str) -> Vec<String> {
        let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        code.split(';').map(words).filter(|text| !text.is_empty()).collect()
    }

    /// The parts of an `ALTER TABLE`: commas within brackets separate nothing.
    fn parts(alter: &str) -> Vec<String> {
        let mut depth = 0;
        let separates = |sign: char| {
            depth += i32::from(sign == '(') - i32::from(sign == ')');
            sign == ',' && depth == 0
        };
        alter.split(separates).map(|part| part.trim().to_owned()).collect()
    }

    /// What of a statement a program of the version before might miss or stumble over: it names no column and no table that
    /// it does not know.
    fn beyond_addition(statement: &str) -> Vec<String> {
        let Some(alter) = statement.strip_prefix("ALTER TABLE ") else {
            let starts = ["CREATE TABLE ", "CREATE INDEX ", "INSERT INTO settings "];
            let adds = starts.iter().any(|start| statement.starts_with(start));
            return if adds { Vec::new() } else { vec![statement.to_owned()] };
        };
        let (_, what) = alter.split_once(' ').expect("a table is altered somehow");
        let adds = |part: &String| {
            let column = part.starts_with("ADD COLUMN ") && (!part.contains(" NOT NULL") || part.contains(" DEFAULT "));
            column || part.starts_with("ADD INDEX ")
        };
        parts(what).into_iter().filter(|part| !adds(part)).collect()
    }

    #[test]
    fn migrations_only_add_so_that_the_version_before_works_beside_them() {
        for migrator in [&SQLITE, &MYSQL] {
            // The first one makes the database.
            for step in migrator.iter().skip(1) {
                let is_listed = |part: &String| {
                    BESIDE.iter().any(|(number, words, _)| *number == step.version && part.contains(words))
                };
                let beyond =
                    statements(step.sql.as_str()).iter().flat_map(|text| beyond_addition(text)).collect::<Vec<_>>();
                let unlisted = beyond.iter().find(|part| !is_listed(part));
                assert_eq!(unlisted, None, "{:04} {}", step.version, step.description);
            }
        }
    }

    #[test]
    fn what_an_older_program_would_miss_or_stumble_over_is_no_addition() {
        for statement in [
            "DROP TABLE messages",
            "ALTER TABLE messages DROP COLUMN topic",
            "ALTER TABLE messages RENAME COLUMN topic TO subject",
            "ALTER TABLE messages RENAME TO letters",
            "ALTER TABLE messages MODIFY COLUMN topic TEXT",
            "ALTER TABLE messages ADD COLUMN a BIGINT, DROP COLUMN topic",
            "ALTER TABLE messages ADD COLUMN size BIGINT NOT NULL",
            "ALTER TABLE messages ADD UNIQUE INDEX one (topic)",
            "CREATE UNIQUE INDEX one ON messages (topic)",
            "CREATE TRIGGER t BEFORE INSERT ON messages BEGIN SELECT 1",
            "UPDATE messages SET topic = 'x'",
            "DELETE FROM messages",
        ] {
            assert_ne!(beyond_addition(statement), Vec::<String>::new(), "{statement}");
        }
        let adding =
            "ALTER TABLE t ADD COLUMN a DECIMAL(3, 2), ADD COLUMN b INT NOT NULL DEFAULT 0, ADD INDEX t_a (a, b)";
        assert_eq!(beyond_addition(adding), Vec::<String>::new());
        assert_eq!(statements("-- why;\nA  B; -- end\n\nC\n;"), ["A B", "C"]);
    }
}

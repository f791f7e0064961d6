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
        let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
        if let Some(&found) = applied.last().filter(|&&found| found > known) {
            return Err(StoreError::SchemaNewer { found, known });
        }
        let status = |migration: &sqlx::migrate::Migration| MigrationStatus {
            version: migration.version,
            description: migration.description.clone().into_owned(),
            applied: applied.contains(&migration.version),
        };
        Ok(migrator.iter().map(status).collect())
    }
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
}

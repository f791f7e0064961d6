//! The database behind the store: how large it is, what is in it, its migrations, the connections to it.

use askama::Template;
use mb_api::dto::{DatabaseKind, DatabasePool, DatabaseReport};

use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::{grouped, size};

#[derive(Template)]
#[template(path = "database.html")]
struct DatabasePage {
    shell: Shell,
    report: DatabaseReport,
}

impl DatabasePage {
    fn kind(&self) -> &'static str {
        match self.report.backend {
            DatabaseKind::Sqlite => "SQLite",
            DatabaseKind::MySql => "MySQL",
            DatabaseKind::MariaDb => "MariaDB",
        }
    }

    /// How many migrations wait.
    fn open(&self) -> usize {
        self.report.migrations.iter().filter(|migration| !migration.is_applied).count()
    }
}

pub(crate) async fn get(Admin(person): Admin) -> Answer {
    let mut report = person.client.database().await?;
    report.tables.sort_by_key(|table| std::cmp::Reverse(table.rows));
    page(&DatabasePage { shell: person.shell(Section::Database), report })
}

/// How much of a pool is in use, in hundredths.
fn percent(pool: &DatabasePool) -> u32 {
    (pool.in_use * 100).checked_div(pool.max).unwrap_or(0).min(100)
}

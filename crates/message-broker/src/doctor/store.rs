//! The database: that it answers, its schema, and through it the server behind it and the clocks of proxies.

use mb_core::Clock;
use mb_store::{Store, StoreError};

use super::{Finding, Patient, database};
use crate::bootstrap;

pub(super) async fn check(patient: Patient<'_>) -> Vec<Finding> {
    let (layout, config) = (patient.layout, &patient.resolved.config);
    if config.store.is_embedded() && !config.store_path(layout.root()).exists() {
        let detail = format!("{} does not exist", config.store_path(layout.root()).display());
        return vec![if patient.preflight {
            Finding::ok("database", format!("{detail}; the first start makes it"))
        } else {
            Finding::warn("database", detail, "this machine runs no main server, or has not started one yet")
        }];
    }
    let fix = "check store.url (DATABASE_URL) and that the database server runs";
    let store = match bootstrap::open_store(layout, config, &Clock::System).await {
        Ok(store) => store,
        Err(error) => {
            let is_away =
                error.chain().any(|cause| cause.downcast_ref::<StoreError>().is_some_and(StoreError::is_passing));
            let fix = if is_away { fix } else { "correct what it names: it will not pass by itself" };
            return vec![Finding::fail("database", crate::output::why(&error), fix)];
        }
    };
    let mut findings = vec![schema(&store, fix).await];
    findings.extend(match store.server_report().await {
        Ok(Some(report)) => database::judge(&report, config.store.host().unwrap_or_default(), Clock::System.now()),
        Ok(None) => Vec::new(),
        Err(error) => vec![Finding::warn("database settings", format!("not readable: {error}"), fix)],
    });
    findings.extend(proxies(&store).await.unwrap_or_default());
    store.close().await;
    findings
}

/// Nothing before the table is there.
async fn proxies(store: &Store) -> Result<Vec<Finding>, StoreError> {
    Ok(database::proxies(&store.seen_proxies().await?, Clock::System.now()))
}

async fn schema(store: &Store, fix: &str) -> Finding {
    match store.migration_status().await {
        Ok(rows) => match rows.iter().filter(|row| !row.applied).count() {
            0 => {
                Finding::ok("database", format!("answers; {} applied", crate::output::counted(rows.len(), "migration")))
            }
            open => Finding::warn(
                "database",
                format!("answers; {open} migrations are open, which the next start of the main server applies"),
                "message-broker migrate",
            ),
        },
        Err(error @ StoreError::SchemaNewer { .. }) => {
            Finding::fail("database", format!("{error}"), "put the newer program here; docs/operating.md, Upgrade")
        }
        Err(error) => Finding::fail("database", format!("{error}"), fix),
    }
}

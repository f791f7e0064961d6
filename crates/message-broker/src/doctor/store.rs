//! The database.

use mb_core::Clock;

use super::{Finding, Patient};
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
        Err(error) => return vec![Finding::fail("database", format!("{error:#}"), fix)],
    };
    let finding = match store.migration_status().await {
        Ok(rows) => match rows.iter().filter(|row| !row.applied).count() {
            0 => Finding::ok("database", format!("answers; {} migrations applied", rows.len())),
            open => Finding::warn(
                "database",
                format!("answers; {open} migrations are open, which the next start of the main server applies"),
                "message-broker migrate",
            ),
        },
        Err(error) => Finding::fail("database", format!("{error}"), fix),
    };
    store.close().await;
    vec![finding]
}

//! The master keys' life: a new one is made, announced and taken into use; what was sealed under the old one is sealed anew;
//! the old one goes when nothing needs it any more (design, section 6).
//!
//! With several main servers each has its own files. A key is announced only when every one of them has it; each then takes
//! it into use by itself. What the database says makes a prepared key active and no other: who can write to the database
//! cannot bring an old key back.

mod delete;
mod rewrap;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::Duration;

use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{KeyId, Role, Timestamp};
use mb_crypto::CryptoError;
use mb_crypto::master::{KeyState, MasterKeys};
use mb_store::{KeyReport, StoreError};

use crate::app::App;
use crate::routes::{announce, store_fault};

pub(crate) use delete::{delete, forget_proxy, list};
pub(crate) use rewrap::rewrap;

/// The store's setting that names the key that was announced last.
const ANNOUNCED: &str = "master_key";
/// Who takes up what another main server or an operator did.
const ACTOR: &str = "system:main-server";
/// A main server that has not said for so long what it has is not there.
const LIVE: Duration = Duration::from_mins(3);

/// Makes the key that is active next, to be copied to the other main servers.
///
/// # Errors
/// `internal` if it cannot be written, `unavailable`.
pub(crate) async fn prepare(app: &App, actor: &str) -> Result<KeyId, ApiError> {
    let known = has_prepared(app);
    let id = with_files(app, MasterKeys::prepare).await?;
    if !known {
        let detail = serde_json::json!({});
        app.store.audit(actor, "keys.prepare", &id.to_string(), detail).await.map_err(store_fault)?;
    }
    report(app).await.map_err(store_fault)?;
    Ok(id)
}

fn has_prepared(app: &App) -> bool {
    app.master.list().iter().any(|(_, state)| *state == KeyState::Prepared)
}

/// Makes the prepared key, or a new one, the active one. The old one still opens.
///
/// # Errors
/// `conflict` if another main server does not have the key yet.
pub(crate) async fn rotate(app: &App, actor: &str) -> Result<KeyId, ApiError> {
    let id = prepare(app, actor).await?;
    let lacking = lacking(app, id).await.map_err(store_fault)?;
    if !lacking.is_empty() {
        let detail = format!(
            "master key {id} is prepared and not in use yet: copy secrets/encryption.next.key to {} and repeat",
            lacking.into_iter().collect::<Vec<_>>().join(", ")
        );
        return Err(ApiError::new(ProblemCode::Conflict, detail));
    }
    if !with_files(app, move |keys| keys.activate(id)).await? {
        return Err(ApiError::new(ProblemCode::Conflict, "the master keys were changed meanwhile: look and repeat"));
    }
    app.store.announce_master_key(ANNOUNCED, id, actor).await.map_err(store_fault)?;
    announce(app).await?;
    report(app).await.map_err(store_fault)?;
    tracing::info!(key = %id, "master key rotated");
    Ok(id)
}

/// The live main servers that do not have the key.
async fn lacking(app: &App, id: KeyId) -> Result<BTreeSet<String>, StoreError> {
    let since = app.clock.now().minus(LIVE);
    let reports = app.store.key_reports().await?;
    let servers = reports.into_iter().filter(|report| report.role == Role::Server && report.reporter != app.reporter);
    let without = servers.filter(|report| report.reported_at >= since && !report.master_keys.contains(&id));
    Ok(without.map(|report| report.name).collect())
}

/// Takes up what others did: files that were copied here, a rotation that another main server announced.
pub(crate) async fn follow(app: &App) -> Result<(), StoreError> {
    let (before, active) = (app.master.list(), app.master.active().id());
    if let Err(error) = with_files(app, MasterKeys::reload).await {
        mb_runtime::logging::limited("master keys", || {
            tracing::error!(error = cause(&error), "master keys cannot be read anew, those in memory stay");
        });
    }
    let announced =
        app.store.setting(ANNOUNCED).await?.and_then(|bytes| Some(KeyId::from_bytes(bytes.try_into().ok()?)));
    if let Some(id) = announced.filter(|id| *id != app.master.active().id()) {
        take_up(app, id).await;
    }
    let now_active = app.master.active().id();
    if now_active != active || announced.is_none_or(|id| id != now_active && is_retired(app, id)) {
        app.store.announce_master_key(ANNOUNCED, now_active, ACTOR).await?;
        app.policy.refresh(&app.store).await?;
    }
    if app.master.list() != before {
        // What was opened under a key that is gone is to be opened no more.
        app.keys.forget_all();
        report(app).await?;
    }
    Ok(())
}

fn is_retired(app: &App, id: KeyId) -> bool {
    app.master.list().contains(&(id, KeyState::Retired))
}

async fn take_up(app: &App, id: KeyId) {
    match with_files(app, move |keys| keys.activate(id)).await {
        Ok(true) => tracing::info!(key = %id, "master key taken into use"),
        Ok(false) if app.master.find(id).is_some() => {}
        Ok(false) => mb_runtime::logging::limited("master key", || {
            tracing::error!(key = %id, "another main server uses a master key that is not here: copy its key files");
        }),
        Err(error) => tracing::error!(error = cause(&error), "master key not taken into use"),
    }
}

/// Says which keys this main server has.
pub(crate) async fn report(app: &App) -> Result<(), StoreError> {
    let report = KeyReport {
        reporter: app.reporter,
        role: Role::Server,
        name: app.instance.to_string(),
        master_keys: app.master.list().into_iter().map(|(id, _)| id).collect(),
        reported_at: Timestamp::default(),
    };
    app.store.report_keys(&report).await
}

/// Says it again, and removes what main servers that are gone have said.
pub(crate) async fn keep_reporting(app: &App) -> Result<(), StoreError> {
    report(app).await?;
    app.store.sweep_key_reports(app.clock.now().minus(LIVE * 2)).await.map(drop)
}

/// What stands behind an answer that says nothing, for the log.
fn cause(error: &ApiError) -> String {
    error.source().map_or_else(|| error.detail().to_owned(), ToString::to_string)
}

/// Key files are flushed to the disk, which no thread that serves requests waits for.
async fn with_files<T: Send + 'static>(
    app: &App,
    step: impl FnOnce(&MasterKeys) -> Result<T, CryptoError> + Send + 'static,
) -> Result<T, ApiError> {
    let keys = std::sync::Arc::clone(&app.master);
    let done = tokio::task::spawn_blocking(move || step(&keys)).await.map_err(ApiError::internal)?;
    done.map_err(ApiError::internal)
}

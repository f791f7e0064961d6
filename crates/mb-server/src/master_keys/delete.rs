//! The end of a master key: only if nothing that is stored needs it, and every known proxy has said that nothing in its
//! journal does.

use std::collections::BTreeSet;

use mb_api::dto;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{KeyId, Role};
use mb_crypto::master::KeyState;
use mb_store::{CertificateFilter, CertificateStatus, KeyReport, StoreError};
use serde_json::json;

use super::rewrap::setting_keys;
use super::{report, with_files};
use crate::app::App;
use crate::routes::store_fault;

/// What needs each key.
struct Needs {
    uses: std::collections::BTreeMap<KeyId, u64>,
    proxies: Vec<KeyReport>,
}

impl Needs {
    async fn read(app: &App) -> Result<Self, StoreError> {
        let mut uses = app.store.master_key_uses().await?;
        for id in setting_keys(app).await? {
            *uses.entry(id).or_default() += 1;
        }
        let mut proxies = app.store.key_reports().await?;
        proxies.retain(|report| report.role == Role::Proxy);
        Ok(Self { uses, proxies })
    }

    fn of(&self, id: KeyId) -> (u64, Vec<dto::KeyProxy>) {
        let proxies = self.proxies.iter().filter(|report| report.master_keys.contains(&id));
        let proxies = proxies.map(|report| dto::KeyProxy {
            id: report.reporter,
            name: report.name.clone(),
            reported_at: report.reported_at,
        });
        (self.uses.get(&id).copied().unwrap_or(0), proxies.collect())
    }
}

/// The keys with what needs them, those too that are needed and not here.
pub(crate) async fn list(app: &App) -> Result<dto::MasterKeys, StoreError> {
    let needs = Needs::read(app).await?;
    let held = app.master.list();
    let missing = needs.uses.keys().filter(|id| !held.iter().any(|(held, _)| held == *id));
    let missing = missing.map(|id| (*id, dto::KeyState::Missing)).collect::<Vec<_>>();
    let held = held.into_iter().map(|(id, state)| (id, shown(state)));
    let rows = held.chain(missing).map(|(id, state)| {
        let (uses, proxies) = needs.of(id);
        dto::MasterKeyRow { id, state, uses, proxies }
    });
    Ok(dto::MasterKeys { data: rows.collect() })
}

const fn shown(state: KeyState) -> dto::KeyState {
    match state {
        KeyState::Active => dto::KeyState::Active,
        KeyState::Prepared => dto::KeyState::Prepared,
        KeyState::Retired => dto::KeyState::Retired,
    }
}

/// Destroys a key on this main server.
///
/// # Errors
/// `not_found`; `conflict`, with the reason, if it is active or something may need it.
pub(crate) async fn delete(app: &App, id: KeyId, actor: &str) -> Result<(), ApiError> {
    let refuse = |reason: String| Err(ApiError::new(ProblemCode::Conflict, reason));
    match app.master.list().into_iter().find(|(held, _)| *held == id) {
        None => return Err(ApiError::not_found()),
        Some((_, KeyState::Active)) => return refuse("it is the active key: rotate first".to_owned()),
        Some(_) => {}
    }
    let needs = Needs::read(app).await.map_err(store_fault)?;
    let (uses, proxies) = needs.of(id);
    if uses > 0 {
        return refuse(format!("{uses} stored data keys and secrets need it: seal them anew with keys rewrap"));
    }
    if !proxies.is_empty() {
        let names = proxies.iter().map(|proxy| format!("{} ({})", proxy.name, proxy.id)).collect::<Vec<_>>();
        return refuse(format!("something in the journal of {} may need it", names.join(", ")));
    }
    let silent = silent(app, &needs).await.map_err(store_fault)?;
    if !silent.is_empty() {
        let names = silent.into_iter().collect::<Vec<_>>().join(", ");
        return refuse(format!("the proxy {names} has never said what its journal needs: start or revoke it"));
    }
    // The record first: a key that is gone without one would be worse than a record of one that is still there.
    app.store.audit(actor, "keys.delete", &id.to_string(), json!({})).await.map_err(store_fault)?;
    with_files(app, move |keys| keys.delete(id)).await?;
    app.keys.forget_all();
    tracing::info!(key = %id, "master key destroyed");
    report(app).await.map_err(store_fault)
}

/// The proxies with a valid certificate that have never reported.
async fn silent(app: &App, needs: &Needs) -> Result<BTreeSet<String>, StoreError> {
    let filter = CertificateFilter {
        role: Some(Role::Proxy),
        status: Some(CertificateStatus::Valid),
        ..CertificateFilter::default()
    };
    let names = app.store.certificates(&filter).await?.into_iter().map(|row| row.name);
    Ok(names.filter(|name| !needs.proxies.iter().any(|report| report.name == *name)).collect())
}

/// Forgets a proxy whose journal is no more.
///
/// # Errors
/// `not_found`, `unavailable`.
pub(crate) async fn forget_proxy(app: &App, journal: KeyId, actor: &str) -> Result<(), ApiError> {
    let known = app.store.forget_key_report(journal, actor).await.map_err(store_fault)?;
    if known { Ok(()) } else { Err(ApiError::not_found()) }
}

//! Certificates that expire: told 30, 14, 7 and 1 days before, and when it has happened. The authority's own is told of a
//! year before, for another takes its place by hand. Each step is a notice of its own, so that each is mailed.

use mb_core::{NoticeKind, NoticeLevel, Timestamp, hex};
use mb_store::{NewNotice, StoreError};
use serde_json::{Value, json};

use crate::app::App;
use crate::expiry::{STEPS, ending, step};

/// Days left of the authority.
const CA_STEPS: [u32; 6] = [1, 7, 14, 30, 90, 365];

/// Raises what is due, and resolves what was renewed, revoked or archived.
pub(crate) async fn run(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let rows = ending(&app.store, now, STEPS[STEPS.len() - 1]).await?;
    let told = |row: mb_store::CertificateRow| {
        let step = step(row.not_after, now, &STEPS)?;
        Some(notice(&row.name, &json!(row.role), &hex::encode(&row.serial), row.not_after, step))
    };
    let mut wanted: Vec<_> = rows.into_iter().filter_map(told).collect();
    let ca_ends = app.authority.ca_not_after();
    if let Some(step) = step(ca_ends, now, &CA_STEPS) {
        wanted.push(notice("ca", &json!("ca"), &hex::encode(&app.authority.ca_id()), ca_ends, step));
    }
    super::settle(app, NoticeKind::CertificateExpiring, wanted).await
}

fn notice(name: &str, role: &Value, serial: &str, ends: Timestamp, step: u32) -> NewNotice {
    let level = if step <= 1 { NoticeLevel::Error } else { NoticeLevel::Warning };
    let detail = json!({ "name": name, "role": role, "serial": serial, "expires_at": ends, "days": step });
    NewNotice { kind: NoticeKind::CertificateExpiring, key: format!("{name} {serial} {step}d"), level, detail }
}

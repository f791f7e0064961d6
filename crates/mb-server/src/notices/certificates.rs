//! Certificates that expire: told 30, 14, 7 and 1 days before, and when it has happened.
//!
//! Of the certificates of one name and role the one that lasts longest counts: who has renewed is not told about the old
//! one. Each step is a notice of its own, so that each is mailed.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_core::{ClientName, ClientStatus, NoticeKind, NoticeLevel, Role, Timestamp, hex};
use mb_store::{CertificateRow, NewNotice, StoreError};
use serde_json::json;

use crate::app::App;

/// Certificates that are read together.
const PAGE: u32 = 1000;
const DAY: Duration = Duration::from_hours(24);
/// Days left, from the last step to the first.
const STEPS: [u32; 4] = [1, 7, 14, 30];
/// A certificate that expired so long ago is missed by nobody.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// Raises what is due, and resolves what was renewed, revoked or archived.
pub(crate) async fn run(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let mut longest: BTreeMap<(Role, String), CertificateRow> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = app.store.certificate_page(after, PAGE).await?;
        after = page.last().map(|(place, _)| *place);
        let full = page.len() == PAGE as usize;
        for (_, row) in page.into_iter().filter(|(_, row)| row.revocation.is_none()) {
            let kept = longest.entry((row.role, row.name.clone())).or_insert_with(|| row.clone());
            if row.not_after > kept.not_after {
                *kept = row;
            }
        }
        if !full {
            break;
        }
    }
    let mut wanted = Vec::new();
    for row in longest.into_values() {
        if let Some(notice) = notice(&row, now)
            && !is_archived(app, &row).await?
        {
            wanted.push(notice);
        }
    }
    super::settle(app, NoticeKind::CertificateExpiring, wanted).await
}

async fn is_archived(app: &App, row: &CertificateRow) -> Result<bool, StoreError> {
    let Some(name) = ClientName::parse(&row.name).filter(|_| row.role.has_domain()) else { return Ok(false) };
    Ok(app.store.client(&name).await?.is_some_and(|client| client.status == ClientStatus::Archived))
}

fn notice(row: &CertificateRow, now: Timestamp) -> Option<NewNotice> {
    let left = row.not_after.since(now);
    let (step, level) = if left.is_zero() {
        (now.since(row.not_after) < FORGOTTEN).then_some((0, NoticeLevel::Error))?
    } else {
        let step = STEPS.into_iter().find(|days| left <= DAY * *days)?;
        (step, if step == 1 { NoticeLevel::Error } else { NoticeLevel::Warning })
    };
    let serial = hex::encode(&row.serial);
    let detail = json!({
        "name": row.name,
        "role": row.role,
        "serial": serial,
        "expires_at": row.not_after,
        "days": step,
    });
    let key = format!("{} {} {step}d", row.name, serial);
    Some(NewNotice { kind: NoticeKind::CertificateExpiring, key, level, detail })
}

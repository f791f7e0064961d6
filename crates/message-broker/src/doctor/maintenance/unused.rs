//! Who could and does not: accounts that nobody signs in to, clients that send nothing. Each is a way in that nobody watches.

use std::collections::BTreeSet;
use std::time::Duration;

use mb_core::{ClientStatus, Role, Timestamp};
use mb_store::{
    AuditFilter, CertificatePageFilter, CertificateStatus, Client, ClientFilter, Store, StoreError, User, UserFilter,
};
use serde::Serialize;

use super::{Finding, Section, date, listed};

const DAY: Duration = Duration::from_hours(24);
const IDLE_DAYS: u32 = 90;
const SILENT_DAYS: u32 = 30;
/// Rows that are read together.
const PAGE: u32 = 500;
/// So many are named; all are counted.
const MOST: usize = 1000;

/// Those of one kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Unused {
    /// For so long, at least.
    for_days: u32,
    count: usize,
    /// The first of them by name.
    rows: Vec<LastSeen>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct LastSeen {
    name: String,
    /// `null`: not as far back as is kept.
    last_at: Option<Timestamp>,
}

impl Unused {
    const fn none(for_days: u32) -> Self {
        Self { for_days, count: 0, rows: Vec::new() }
    }

    fn add(&mut self, name: &str, last_at: Option<Timestamp>) {
        self.count += 1;
        if self.rows.len() < MOST {
            self.rows.push(LastSeen { name: name.to_owned(), last_at });
        }
    }

    fn told(&self) -> String {
        let one = |row: &LastSeen| match row.last_at {
            Some(at) => format!("{} ({})", row.name, date(at)),
            None => format!("{} (never)", row.name),
        };
        listed(self.rows.iter().map(one))
    }
}

/// Users who may sign in and did not.
pub(super) async fn users(store: &Store, now: Timestamp) -> Result<Section<Unused>, StoreError> {
    let (since, mut idle) = (now.minus(DAY * IDLE_DAYS), Unused::none(IDLE_DAYS));
    let (filter, mut after) = (UserFilter { active: Some(true), ..UserFilter::default() }, None::<String>);
    loop {
        let page = store.user_page(&filter, after.as_deref(), PAGE).await?;
        for user in page.iter().filter(|user| user.may_sign_in(now) && user.created_at < since) {
            let last_at = signed_in(store, user).await?;
            if last_at.is_none_or(|at| at < since) {
                idle.add(&user.email, last_at);
            }
        }
        after = page.last().map(|user| user.email.clone());
        if page.len() < PAGE as usize {
            break;
        }
    }
    let said = if idle.count == 0 {
        Finding::ok("users", format!("all who may have signed in within {IDLE_DAYS} days"))
    } else {
        let detail = format!("{} did not sign in for {IDLE_DAYS} days: {}", idle.count, idle.told());
        Finding::warn("users", detail, "who needs none any more: `message-broker admin users disable --email EMAIL`")
    };
    Ok((idle, vec![said]))
}

/// When the user signed in last, as far as the audit log goes back, or used a session that still lives.
async fn signed_in(store: &Store, user: &User) -> Result<Option<Timestamp>, StoreError> {
    let filter = AuditFilter {
        object: Some(user.email.clone()),
        action: Some("session.begin".to_owned()),
        ..AuditFilter::default()
    };
    let page = store.audit_page(&filter, None, 1).await?;
    let began = page.entries.first().map(|row| row.entry.at);
    let last = store.sessions(user.id).await?.first().map(|session| session.last_used_at);
    Ok(began.max(last))
}

/// Clients that have a certificate to send with and did not.
pub(super) async fn clients(store: &Store, now: Timestamp) -> Result<Section<Unused>, StoreError> {
    let (since, mut silent) = (now.minus(DAY * SILENT_DAYS), Unused::none(SILENT_DAYS));
    let can_send = senders(store, now).await?;
    let filter = ClientFilter { status: Some(ClientStatus::Active), ..ClientFilter::default() };
    let mut after = None::<String>;
    loop {
        let page = store.client_page(&filter, after.as_deref(), PAGE).await?;
        let old = |client: &&Client| client.created_at < since && can_send.contains(client.name.as_str());
        for client in page.iter().filter(old) {
            let last = store.newest_messages(&client.name, Timestamp::default(), 1).await?;
            let last_at = last.first().map(|message| message.queued_at);
            if last_at.is_none_or(|at| at < since) {
                silent.add(client.name.as_str(), last_at);
            }
        }
        after = page.last().map(|client| client.name.as_str().to_owned());
        if page.len() < PAGE as usize {
            break;
        }
    }
    let said = if silent.count == 0 {
        Finding::ok("clients", format!("all that can have sent something within {SILENT_DAYS} days"))
    } else {
        let detail = format!("{} sent nothing for {SILENT_DAYS} days: {}", silent.count, silent.told());
        let fix = "ask their owners; `message-broker admin clients suspend NAME` closes the way in";
        Finding::warn("clients", detail, fix)
    };
    Ok((silent, vec![said]))
}

/// The names in good certificates of role client.
async fn senders(store: &Store, now: Timestamp) -> Result<BTreeSet<String>, StoreError> {
    let (mut names, mut after) = (BTreeSet::new(), None);
    loop {
        let page = store.certificate_page(&CertificatePageFilter::default(), after, PAGE).await?;
        after = page.last().map(|(place, _)| *place);
        let is_last = page.len() < PAGE as usize;
        let good = page.into_iter().map(|(_, row)| row);
        let good = good.filter(|row| row.role == Role::Client && row.status(now) == CertificateStatus::Valid);
        names.extend(good.map(|row| row.name));
        if is_last {
            return Ok(names);
        }
    }
}

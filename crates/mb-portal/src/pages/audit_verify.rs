//! Checking the audit log from its beginning to its end, or as far as one request goes.

use std::time::Duration;

use askama::Template;
use mb_api::dto::{AuditFault, AuditFaultKind, AuditVerifyQuery};

use crate::form::Form;
use crate::person::Admin;
use crate::respond::page;
use crate::shell::{Section, Shell};
use crate::stop::Answer;
use crate::view::grouped;

/// How long one request checks before it asks whether to go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most faults that are shown.
const MAX_FAULTS: usize = 100;

#[derive(Template)]
#[template(path = "audit_verify.html")]
struct VerifyPage {
    shell: Shell,
    found: Found,
}

/// What was found so far; it comes along with the form that goes on.
#[derive(Clone, Debug, Default)]
struct Found {
    rows: u64,
    checkpoints: u64,
    unchained: u64,
    signed: Option<u64>,
    faults: Vec<AuditFault>,
    next: Option<String>,
}

/// Where to go on, and what was found before.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct From {
    cursor: String,
    rows: String,
    checkpoints: String,
}

pub(crate) async fn post(Admin(person): Admin, Form(from): Form<From>) -> Answer {
    let so_far = |text: &str| text.parse().unwrap_or_default();
    let mut found = Found {
        rows: so_far(&from.rows),
        checkpoints: so_far(&from.checkpoints),
        next: Some(from.cursor).filter(|cursor| !cursor.is_empty()),
        ..Found::default()
    };
    let give_up = std::time::Instant::now() + PATIENCE;
    loop {
        let report = person.client.verify_audit(&AuditVerifyQuery { cursor: found.next.take() }).await?;
        found.rows += report.rows;
        found.checkpoints += report.checkpoints;
        found.unchained = report.unchained;
        found.signed = report.signed_position.or(found.signed);
        found.faults.extend(report.faults);
        found.next = report.next;
        if found.next.is_none() || found.faults.len() >= MAX_FAULTS || std::time::Instant::now() >= give_up {
            break;
        }
    }
    found.faults.truncate(MAX_FAULTS);
    page(&VerifyPage { shell: person.shell(Section::Audit), found })
}

/// A fault in words.
const fn words(kind: AuditFaultKind) -> &'static str {
    match kind {
        AuditFaultKind::Changed => "A row was changed",
        AuditFaultKind::Missing => "A row is missing",
        AuditFaultKind::Broken => "The chain is broken",
        AuditFaultKind::BadSignature => "A signature is not genuine",
        AuditFaultKind::BadCheckpoint => "A checkpoint does not fit the chain",
        AuditFaultKind::CutOff => "The log was cut off",
        AuditFaultKind::NoHead => "The log's head is missing",
        AuditFaultKind::Unsigned => "Rows are not signed",
        AuditFaultKind::Unchained => "A row is not chained",
    }
}

//! Secrets that do not protect.

use super::{Finding, Patient};
use crate::weakness;

pub(super) fn check(patient: Patient<'_>) -> Vec<Finding> {
    let found = match weakness::find(patient.resolved) {
        Ok(found) => found,
        Err(error) => return vec![Finding::fail("secrets", format!("{error:#}"), "make that file readable")],
    };
    let production = patient.resolved.config.is_production();
    // Where nothing is in production a generated key does as well.
    let counts = |weak: &&weakness::Weakness| production || !weak.problem.starts_with("is not set");
    let findings: Vec<_> = found
        .iter()
        .filter(counts)
        .map(|weak| {
            let detail = format!("{} {}: who guesses it can act as the system", weak.name, weak.problem);
            let fix = format!("set {} to the output of `openssl rand -base64 36`", weak.name);
            if production { Finding::fail("secrets", detail, fix) } else { Finding::warn("secrets", detail, fix) }
        })
        .collect();
    if findings.is_empty() { vec![Finding::ok("secrets", "none is missing, short or well known")] } else { findings }
}

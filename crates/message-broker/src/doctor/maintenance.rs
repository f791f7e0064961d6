//! `doctor --report`: what the monthly maintenance looks at - what grows and when a disk is full, backups, what ends, what
//! nobody uses any more.
//!
//! Every section only looks and each looks alone, as the checks do; none takes a lock, so that all of it works beside a
//! running system and on a stopped one. How fast things grow is told from what lies there (docs/adr/0011).

mod backups;
mod database;
mod disks;
mod growth;
mod unused;

use std::process::ExitCode;

use anyhow::Result;
use mb_core::{Clock, Timestamp};
use mb_store::{Store, StoreError};
use serde::Serialize;

use super::Finding;
use crate::bootstrap;
use crate::config::Resolved;
use crate::layout::Layout;
use crate::output;

/// Days ahead for which ends are told.
const AHEAD: u32 = 90;

/// All of it. What cannot be read is `null`, and `findings` says why; so is what other machines have.
#[derive(Debug, Serialize)]
struct Report {
    at: Timestamp,
    disks: Vec<disks::Disk>,
    database: Option<database::Database>,
    backups: Option<backups::Backups>,
    certificates: Option<Vec<Ending>>,
    idle_users: Option<unused::Unused>,
    silent_clients: Option<unused::Unused>,
    findings: Vec<Finding>,
}

/// A certificate that ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Ending {
    name: String,
    role: String,
    ends_at: Timestamp,
}

/// A section, and what there is to say of it.
type Section<T> = (T, Vec<Finding>);

/// Looks at everything and prints it; exit code 1 if something that is here cannot be looked at.
pub(super) async fn run(layout: &Layout, json: bool) -> Result<ExitCode> {
    let report = look(layout, &Resolved::of(layout)?, Clock::System.now()).await;
    if json {
        output::json(&report)?;
    } else {
        super::print(&report.findings);
    }
    Ok(super::outcome(&report.findings))
}

async fn look(layout: &Layout, resolved: &Resolved, now: Timestamp) -> Report {
    let mut findings = Vec::new();
    let store = open(layout, resolved, &mut findings).await;
    let settings = bootstrap::backup::settings(layout, resolved);
    let (backups, said_of_backups) =
        if store.is_some() || settings.dir.exists() { backups::look(&settings, now).await } else { (None, Vec::new()) };
    let mut sections = Sections { findings: Vec::new(), store };
    let database = sections.keep("database", async |store| database::look(store, now).await).await;
    let certificates = sections.keep("certificates", async |store| ending(store, layout, now).await).await;
    let idle_users = sections.keep("users", async |store| unused::users(store, now).await).await;
    let silent_clients = sections.keep("clients", async |store| unused::clients(store, now).await).await;
    let said_of_rows = sections.close().await;
    let growing = disks::Growing { layout, resolved, database: database.as_ref(), backups: backups.as_ref() };
    let (disks, said_of_disks) = disks::look(growing, now).await;
    findings.extend([said_of_disks, said_of_backups, said_of_rows].into_iter().flatten());
    Report { at: now, disks, database, backups, certificates, idle_users, silent_clients, findings }
}

/// The database, if this machine has one and this program can read it.
async fn open(layout: &Layout, resolved: &Resolved, findings: &mut Vec<Finding>) -> Option<Store> {
    let config = &resolved.config;
    if config.store.is_embedded() && !config.store_path(layout.root()).exists() {
        let detail = "there is none here: its figures, people and certificates are told at the main server's machine";
        findings.push(Finding::ok("database", detail));
        return None;
    }
    let opened = async {
        let store = bootstrap::open_store(layout, config, &Clock::System).await?;
        let open = store.migration_status().await?.iter().filter(|row| !row.applied).count();
        anyhow::ensure!(open == 0, "{} open", output::counted(open, "migration"));
        Ok(store)
    };
    match opened.await {
        Ok(store) => Some(store),
        Err(error) => {
            let fix = "`message-broker doctor` says what is wrong with it";
            findings.push(Finding::fail("database", output::why(&error), fix));
            None
        }
    }
}

/// What is read from the store, section by section.
struct Sections {
    store: Option<Store>,
    findings: Vec<Finding>,
}

impl Sections {
    /// A section that cannot be read says so, and the next goes on.
    async fn keep<T>(
        &mut self,
        name: &str,
        read: impl AsyncFnOnce(&Store) -> Result<Section<T>, StoreError>,
    ) -> Option<T> {
        match read(self.store.as_ref()?).await {
            Ok((section, said)) => {
                self.findings.extend(said);
                Some(section)
            }
            Err(error) => {
                let fix = "`message-broker doctor` says what is wrong with the database";
                self.findings.push(Finding::fail(name, output::why(&error.into()), fix));
                None
            }
        }
    }

    async fn close(self) -> Vec<Finding> {
        if let Some(store) = self.store {
            store.close().await;
        }
        self.findings
    }
}

/// Certificates that end and were not renewed. Of the authority it is told a year before: another takes its place by hand.
async fn ending(store: &Store, layout: &Layout, now: Timestamp) -> Result<Section<Vec<Ending>>, StoreError> {
    let rows = mb_server::ending_certificates(store, now, AHEAD).await?;
    let rows =
        rows.into_iter().map(|row| Ending { name: row.name, role: row.role.to_string(), ends_at: row.not_after });
    let ending = rows.collect::<Vec<_>>();
    let mut said = vec![if ending.is_empty() {
        Finding::ok("certificates", format!("none ends within {AHEAD} days"))
    } else {
        let one = |row: &Ending| format!("{} ({}, {})", row.name, row.role, date(row.ends_at));
        let detail = format!("{} within {AHEAD} days: {}", ends(ending.len()), listed(ending.iter().map(one)));
        let fix =
            "components renew themselves at two thirds of their lives; for a client `message-broker ca renew NAME`";
        Finding::warn("certificates", detail, fix)
    }];
    if let Ok(Some(authorities)) = bootstrap::present_authorities(layout) {
        let ends_at = authorities.issuing.not_after();
        let detail = format!("the authority ends on {}", date(ends_at));
        said.push(if days(ends_at.since(now)) < 365 {
            Finding::warn("authority", detail, "docs/trust.md, \"Another authority\": plan for months")
        } else {
            Finding::ok("authority", detail)
        });
    }
    Ok((ending, said))
}

fn ends(count: usize) -> String {
    let verb = if count == 1 { "ends" } else { "end" };
    format!("{} {verb}", output::counted(count, "certificate"))
}

/// So many are named in a line for people.
const NAMED: usize = 10;

/// The first few of a list.
fn listed(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let names = all.take(NAMED).collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// The day of a time, in UTC.
fn date(at: Timestamp) -> String {
    at.to_string()[..10].to_owned()
}

const fn days(time: std::time::Duration) -> u64 {
    time.as_secs() / 86_400
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let tenths = |shift: u32| (bytes >> (shift - 10)).saturating_mul(10) >> 10;
    let (tenths, unit) = match bytes {
        ..0x10_0000 => return format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => (tenths(20), "MiB"),
        _ => (tenths(30), "GiB"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        let told = [0, 1, 10 << 10, 1 << 20, 1_572_864, 10 << 30, u64::MAX].map(size);
        assert_eq!(told, ["0 KiB", "1 KiB", "10 KiB", "1.0 MiB", "1.5 MiB", "10.0 GiB", "17179869183.9 GiB"]);
    }

    #[test]
    fn a_long_list_is_told_by_its_first_and_the_rest_is_counted() {
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(names(2).into_iter()), "0, 1");
        assert!(listed(names(12).into_iter()).ends_with("8, 9 and 2 more"));
    }
}

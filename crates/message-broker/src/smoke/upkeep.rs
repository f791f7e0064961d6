//! What has to be kept up: certificates, backups, log files.

use std::path::Path;
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::{BackupState, ExpiringQuery};
use mb_core::Timestamp;

use crate::doctor::Finding;
use crate::output;

/// A certificate that ends sooner needs somebody.
const SOON: u32 = 30;
/// A daily backup may be this old.
const BACKUP: Duration = Duration::from_hours(36);
/// Log files are kept for 7 days; the oldest is looked for when the next one begins.
const LOGS: Duration = Duration::from_hours(24 * 9);

pub(super) async fn certificates(server: &Client) -> Finding {
    let query = ExpiringQuery { days: Some(SOON), ..ExpiringQuery::default() };
    match server.expiring_certificates(&query).await {
        Err(error) => Finding::fail("certificates", error.to_string(), "ask the main server's log"),
        Ok(page) if page.data.is_empty() => Finding::ok("certificates", format!("none ends within {SOON} days")),
        Ok(page) => {
            let names = page.data.iter().map(|row| row.client_id.as_str()).collect::<Vec<_>>().join(", ");
            let fix = "`message-broker ca list --expiring` says when; components renew themselves, `ca renew NAME` does it now";
            Finding::warn("certificates", format!("ending within {SOON} days: {names}"), fix)
        }
    }
}

pub(super) async fn backup(server: &Client, now: Timestamp) -> Finding {
    let fix = "`message-broker backup create`; docs/backup.md says how one is made every night";
    let backups = match server.backups().await {
        Ok(backups) => backups,
        Err(error) => return Finding::warn("backup", error.to_string(), fix),
    };
    match backups.data.iter().find(|row| row.state == BackupState::Good) {
        None => Finding::warn("backup", format!("there is none in {}", backups.dir), fix),
        Some(row) => {
            let age = now.since(row.created_at);
            let detail = format!("{} is {} hours old", row.name, age.as_secs() / 3600);
            if age > BACKUP { Finding::warn("backup", detail, fix) } else { Finding::ok("backup", detail) }
        }
    }
}

pub(super) fn logs(dir: &Path, now: Timestamp) -> Finding {
    let fix = "log.dir (LOG_FILE_PATH) has to be a directory that the services' accounts may write";
    let names = match std::fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect::<Vec<_>>(),
        Err(error) => return Finding::fail("logs", format!("{}: {error}", dir.display()), fix),
    };
    let is_current = |name: &&String| Path::new(name).extension().is_some_and(|extension| extension == "log");
    let current = names.iter().filter(is_current).count();
    if current == 0 {
        return Finding::fail("logs", format!("{} has no log file", dir.display()), fix);
    }
    let dated = names.iter().filter_map(|name| name.split_once(".log.").map(|(_, date)| date)).collect::<Vec<_>>();
    let oldest = dated.iter().filter_map(|date| Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", date.get(..10)?)));
    match oldest.min() {
        Some(day) if now.since(day) > LOGS => {
            let detail = format!("a file of {day} is still there: old ones are not removed");
            Finding::warn("logs", detail, "remove it; the component's log says why it could not")
        }
        _ => Finding::ok(
            "logs",
            format!("{}, {} of earlier days", output::counted(current, "current file"), dated.len()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn log_files_that_outlived_their_days_are_seen() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let now = Timestamp::parse_rfc3339("2026-11-26T10:00:00Z").expect("a time");
        assert_eq!(logs(dir.path(), now).status, Status::Fail, "none is written");
        std::fs::write(dir.path().join("proxy.log"), "").expect("written");
        std::fs::write(dir.path().join("proxy.log.2026-11-19"), "").expect("written");
        assert_eq!(logs(dir.path(), now).status, Status::Ok);
        std::fs::write(dir.path().join("proxy.log.2026-11-15"), "").expect("written");
        assert_eq!(logs(dir.path(), now).status, Status::Warn);
        assert_eq!(logs(&dir.path().join("none"), now).status, Status::Fail);
    }
}

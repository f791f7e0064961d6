//! Backups: the last one, the last one that was proven, and what they take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mb_core::Timestamp;
use mb_server::backup::{self, BackupConfig, Listed};
use serde::Serialize;

use super::growth::Grower;
use super::{Finding, date, days, size};
use crate::output;

/// A daily backup may be this old.
const MADE: Duration = Duration::from_hours(36);
/// The monthly maintenance proves one.
const PROVEN: Duration = Duration::from_hours(24 * 35);

/// The backups in this machine's folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Backups {
    dir: PathBuf,
    count: usize,
    damaged: usize,
    bytes: u64,
    last: Option<Made>,
    last_verified: Option<Made>,
    /// Days between the first and the last.
    #[serde(skip)]
    span: u64,
    #[serde(skip)]
    keep_days: u64,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Made {
    name: String,
    created_at: Timestamp,
    verified_at: Option<Timestamp>,
    bytes: u64,
}

/// The folder, and what there is to say of it; a main server's elsewhere has its own.
pub(super) async fn look(config: &BackupConfig, now: Timestamp) -> (Option<Backups>, Vec<Finding>) {
    let (dir, keep) = (config.dir.clone(), config.keep);
    match tokio::task::spawn_blocking(move || backup::list(&dir).map(|all| summed(&dir, &all, keep))).await {
        Ok(Ok(backups)) => {
            let said = findings(&backups, now);
            (Some(backups), said)
        }
        Ok(Err(error)) => (None, vec![unreadable(output::why(&error.into()))]),
        Err(error) => (None, vec![unreadable(error.to_string())]),
    }
}

fn unreadable(detail: String) -> Finding {
    Finding::fail("backup", detail, "correct backup.dir, or who may read there")
}

fn summed(dir: &Path, all: &[Listed], keep: Duration) -> Backups {
    let made = |backup: &Listed| {
        let bytes = backup.content.as_ref().ok()?.bytes;
        Some(Made { name: backup.name.clone(), created_at: backup.created_at, verified_at: backup.verified_at, bytes })
    };
    let good = all.iter().filter_map(made).collect::<Vec<_>>();
    let proven = good.iter().filter(|backup| backup.verified_at.is_some());
    let ends = good.first().zip(good.last());
    Backups {
        dir: dir.to_owned(),
        count: all.len(),
        damaged: all.len() - good.len(),
        bytes: good.iter().map(|backup| backup.bytes).sum(),
        last: good.first().cloned(),
        last_verified: proven.max_by_key(|backup| backup.verified_at).cloned(),
        span: ends.map_or(0, |(last, first)| days(last.created_at.since(first.created_at))),
        keep_days: days(keep),
    }
}

impl Backups {
    /// Each day the last one comes again, as often as they were made; they are kept for so many days, and then as many go
    /// as come.
    pub(super) fn grower(&self) -> Grower {
        let good = (self.count - self.damaged) as u64;
        let per_day = self.last.as_ref().map(|last| last.bytes.saturating_mul(good) / (self.span + 1));
        let at_most = per_day.map(|pace| self.bytes.max(pace.saturating_mul(self.keep_days + 1)));
        Grower { what: "backups", path: self.dir.clone(), bytes: self.bytes, per_day, at_most }
    }
}

fn findings(backups: &Backups, now: Timestamp) -> Vec<Finding> {
    let Some(last) = &backups.last else {
        let fix = "`message-broker backup create`; docs/backup.md says how one is made every night";
        return vec![Finding::warn("backup", format!("there is none in {}", backups.dir.display()), fix)];
    };
    let hours = now.since(last.created_at).as_secs() / 3600;
    let detail = format!("{} is {}, {} old", last.name, size(last.bytes), output::counted(hours, "hour"));
    let mut said = vec![if now.since(last.created_at) > MADE {
        Finding::warn("backup", detail, "the notice `backup_failed` and the log say why there is no newer one")
    } else {
        Finding::ok("backup", detail)
    }];
    let fix = format!("message-broker backup verify {}", last.name);
    said.push(match backups.last_verified.as_ref().and_then(|proven| Some((proven, proven.verified_at?))) {
        None => Finding::warn("backup proven", "none of them was ever restored into a scratch place", fix),
        Some((proven, at)) => {
            let detail = format!("{} was proven on {}", proven.name, date(at));
            if now.since(at) > PROVEN {
                Finding::warn("backup proven", detail, fix)
            } else {
                Finding::ok("backup proven", detail)
            }
        }
    });
    if backups.damaged > 0 {
        let detail = format!("{} of {} in {}", backups.damaged, backups.count, backups.dir.display());
        said.push(Finding::warn("backup damaged", detail, "`message-broker backup list` says which and why"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

    /// One a day, the newest first, of 100 bytes each.
    fn daily(count: u32, verified_at: Option<Timestamp>) -> Vec<Listed> {
        let content = backup::Content {
            version: "1".into(),
            schema: 1,
            rows: 1,
            messages: 1,
            bytes: 100,
            sealed: "passphrase".into(),
        };
        let listed = |age: u32| Listed {
            name: format!("backup-{age}"),
            path: PathBuf::new(),
            created_at: NOW.minus(DAY * age),
            verified_at: verified_at.filter(|_| age == 1),
            content: Ok(content.clone()),
        };
        (0..count).map(listed).collect()
    }

    fn of(listed: &[Listed]) -> Backups {
        summed(Path::new("/b"), listed, DAY * 30)
    }

    #[test]
    fn daily_backups_grow_by_one_a_day_until_the_first_is_kept_no_longer() {
        let few = of(&daily(5, None)).grower();
        assert_eq!((few.bytes, few.per_day, few.at_most), (500, Some(100), Some(3100)));
        let all = of(&daily(31, None)).grower();
        assert_eq!((all.bytes, all.at_most), (3100, Some(3100)));
        assert_eq!(of(&[]).grower().per_day, None);
    }

    #[test]
    fn an_old_backup_and_one_that_nobody_proved_are_warnings() {
        let status = |listed: &[Listed], now| {
            findings(&of(listed), now).iter().map(|finding| finding.status).collect::<Vec<_>>()
        };
        assert_eq!(status(&[], NOW), [Status::Warn]);
        assert_eq!(status(&daily(2, None), NOW), [Status::Ok, Status::Warn]);
        assert_eq!(status(&daily(2, Some(NOW)), NOW), [Status::Ok, Status::Ok]);
        assert_eq!(status(&daily(2, Some(NOW)), NOW.plus(DAY * 40)), [Status::Warn, Status::Warn]);
        let mut damaged = daily(2, Some(NOW));
        damaged[0].content = Err("cut off".into());
        assert_eq!(status(&damaged, NOW), [Status::Ok, Status::Ok, Status::Warn]);
    }
}

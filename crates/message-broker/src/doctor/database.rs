//! The database server: whether it keeps what it has answered, and whom it lets do what.

use std::net::IpAddr;

use mb_core::Timestamp;
use mb_store::{SeenProxy, ServerReport};

use super::server::SKEW;
use super::{Finding, grants};

/// The fewest bytes of one statement that a batch of messages fits into.
const PACKET: u64 = 16 << 20;

/// A proxy that was not seen for so long says nothing about now.
const RECENT: std::time::Duration = std::time::Duration::from_mins(10);

pub(super) fn judge(report: &ServerReport, host: &str, now: Timestamp) -> Vec<Finding> {
    vec![
        Finding::ok("database version", &report.version),
        durability(report),
        text(report),
        packet(report),
        grants::judge(&report.grants, &report.database),
        encryption(report, host),
        clock(report, now),
    ]
}

fn durability(report: &ServerReport) -> Finding {
    match report.is_durable() {
        Ok(()) => Finding::ok("database durability", "a commit is on the disk when it is answered"),
        Err(reason) => Finding::fail(
            "database durability",
            format!("{reason}: a power failure of its machine loses messages that proxies were told are stored"),
            "set innodb_flush_log_at_trx_commit = 1 and sync_binlog = 1, see deployment/config/mysql.cnf, and restart it",
        ),
    }
}

fn text(report: &ServerReport) -> Finding {
    let detail = format!("the database's default is {}", report.charset);
    if report.charset == "utf8mb4" {
        return Finding::ok("database charset", detail);
    }
    let fix = format!("ALTER DATABASE {} CHARACTER SET utf8mb4", report.database);
    Finding::warn("database charset", format!("{detail}: what others add there loses characters"), fix)
}

fn packet(report: &ServerReport) -> Finding {
    match report.max_packet {
        Some(bytes) if bytes < PACKET => {
            let detail = format!("max_allowed_packet is {bytes} bytes: large batches are refused and split");
            Finding::warn("database packet", detail, "set max_allowed_packet = 64M, see deployment/config/mysql.cnf")
        }
        _ => Finding::ok("database packet", "batches fit"),
    }
}

fn encryption(report: &ServerReport, host: &str) -> Finding {
    if report.encrypted {
        Finding::ok("database connection", "encrypted")
    } else if is_loopback(host) {
        Finding::ok("database connection", "within this machine")
    } else {
        Finding::warn(
            "database connection",
            format!("not encrypted, to {host}: who listens on the way reads names, times and password hashes"),
            "give the server a certificate and add ?ssl-mode=required, or better ?ssl-ca=FILE, to DATABASE_URL",
        )
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn clock(report: &ServerReport, now: Timestamp) -> Finding {
    let apart = report.now.since(now).max(now.since(report.now));
    let detail = format!("{:.1} s apart from the database's clock", apart.as_secs_f64());
    if apart > SKEW {
        let why = format!("{detail}: leases and leadership go by its clock, messages by this one");
        Finding::warn("database clock", why, "synchronise the clocks: `timedatectl set-ntp true` on both")
    } else {
        Finding::ok("database clock", detail)
    }
}

/// The clocks of proxies as main servers saw them, measured when each asked at last.
pub(super) fn proxies(seen: &[SeenProxy], now: Timestamp) -> Vec<Finding> {
    let recent = |proxy: &&SeenProxy| now.since(proxy.seen_at) < RECENT;
    let found = seen.iter().filter(recent).map(|proxy| {
        let ahead = proxy.heartbeat.clock_ahead_ms.unwrap_or(0);
        let check = format!("clock {}", proxy.heartbeat.name);
        let direction = if ahead < 0 { "behind" } else { "ahead of" };
        let seconds = std::time::Duration::from_millis(ahead.unsigned_abs());
        let detail =
            format!("proxy {} is {:.1} s {direction} the main server", proxy.heartbeat.id, seconds.as_secs_f64());
        if seconds > SKEW {
            let why = format!("{detail}: it stamps messages with wrong times and judges certificates wrongly");
            Finding::fail(check, why, "synchronise that machine's clock: `timedatectl set-ntp true`")
        } else {
            Finding::ok(check, detail)
        }
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use mb_core::{JournalBacklog, JournalFaults};
    use mb_store::Heartbeat;

    use super::*;
    use crate::doctor::Status;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn report() -> ServerReport {
        ServerReport {
            version: "10.11.14-MariaDB".into(),
            flush_log_at_commit: Some(1),
            sync_binlog: None,
            database: "d".into(),
            charset: "utf8mb4".into(),
            max_packet: Some(PACKET),
            grants: vec!["GRANT ALL PRIVILEGES ON `d`.* TO `u`@`%`".into()],
            now: NOW,
            encrypted: false,
        }
    }

    fn not_ok(report: &ServerReport, host: &str) -> Vec<(String, Status)> {
        let findings = judge(report, host, NOW).into_iter();
        findings.filter(|finding| finding.status != Status::Ok).map(|finding| (finding.check, finding.status)).collect()
    }

    #[test]
    fn each_fault_is_found_alone() {
        let found = |check: &str, status| vec![(check.to_owned(), status)];
        assert_eq!(not_ok(&report(), "127.0.0.1"), []);
        let forgetful = ServerReport { flush_log_at_commit: Some(2), ..report() };
        assert_eq!(not_ok(&forgetful, "::1"), found("database durability", Status::Fail));
        let binlog = ServerReport { sync_binlog: Some(0), ..report() };
        assert_eq!(not_ok(&binlog, "localhost"), found("database durability", Status::Fail));
        let latin = ServerReport { charset: "latin1".into(), ..report() };
        assert_eq!(not_ok(&latin, "localhost"), found("database charset", Status::Warn));
        let small = ServerReport { max_packet: Some(1 << 20), ..report() };
        assert_eq!(not_ok(&small, "localhost"), found("database packet", Status::Warn));
        assert_eq!(not_ok(&report(), "db.example"), found("database connection", Status::Warn));
        assert_eq!(not_ok(&ServerReport { encrypted: true, ..report() }, "db.example"), []);
        let fast = ServerReport { now: NOW.plus(SKEW * 2), ..report() };
        assert_eq!(not_ok(&fast, "localhost"), found("database clock", Status::Warn));
    }

    #[test]
    fn a_proxy_whose_clock_is_off_is_named_while_it_lives() {
        let seen = |ahead, seen_at| SeenProxy {
            heartbeat: Heartbeat {
                id: "07".into(),
                name: "proxy".into(),
                policy_version: None,
                clock_ahead_ms: Some(ahead),
                faults: JournalFaults::default(),
                backlog: JournalBacklog::default(),
            },
            seen_at,
        };
        let rows = [seen(-60_000, NOW), seen(200, NOW), seen(60_000, NOW.minus(RECENT))];
        let findings = proxies(&rows, NOW);
        assert_eq!(findings.iter().map(|finding| finding.status).collect::<Vec<_>>(), [Status::Fail, Status::Ok]);
        assert!(findings[0].detail.contains("60.0 s behind"), "{}", findings[0].detail);
    }
}

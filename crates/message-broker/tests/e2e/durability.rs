//! 202 means fsynced: seen from outside, by the system calls.
//!
//! SIGKILL cannot show this, because the page cache survives it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Broker, PATIENCE, submit};

#[test]
fn one_completed_fdatasync_lies_between_a_lone_submit_and_its_202_needs_strace() {
    let broker = Broker::start();
    let mut demo = broker.demo();
    let warm = submit(&mut demo, "warm");
    broker.wait_delivered(&[warm]);
    let trace = tempfile::NamedTempFile::new().expect("temporary file");
    let mut strace = Command::new("strace")
        .args(["-f", "-ttt", "-T", "-y", "-e", "trace=fdatasync,fsync", "-p", &broker.pid().to_string(), "-o"])
        .arg(trace.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace starts");
    wait_attached(broker.pid());

    for round in 0..5 {
        let begun = now();
        let id = submit(&mut demo, &format!("{round}"));
        let answered = now();
        let log = std::fs::read_to_string(trace.path()).expect("readable");
        let synced = journal_syncs(&log, begun, answered);
        assert_eq!(synced, 1, "one fdatasync of the journal per lone submit (round {round}):\n{log}");
        // The worker's and the store's own syncs end before the next round.
        broker.wait_delivered(&[id]);
    }
    Command::new("kill").args(["-INT", &strace.id().to_string()]).status().expect("kill runs");
    strace.wait().expect("strace ends");
}

/// Completed fdatasyncs on a journal segment that both began and ended within the interval.
fn journal_syncs(log: &str, begun: f64, answered: f64) -> usize {
    let mut pending: Vec<(&str, f64)> = Vec::new();
    let mut count = 0;
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (Some(thread), Some(at)) = (words.next(), words.next().and_then(|at| at.parse::<f64>().ok())) else {
            continue;
        };
        if line.contains("fdatasync(") && line.contains(".seg>") {
            if line.contains("unfinished") {
                pending.push((thread, at));
            } else if line.contains("= 0") && at >= begun && at <= answered {
                count += 1;
            }
        } else if line.contains("fdatasync resumed") && line.contains("= 0") {
            let start = pending.iter().position(|(waiting, _)| *waiting == thread).map(|at| pending.remove(at).1);
            if start.is_some_and(|start| start >= begun) && at <= answered {
                count += 1;
            }
        }
    }
    count
}

fn now() -> f64 {
    let micros = mb_core::Clock::System.now().micros();
    let part = |micros: i64| f64::from(i32::try_from(micros).expect("seconds before 2038, and what is below one"));
    part(micros / 1_000_000) + part(micros % 1_000_000) / 1e6
}

/// strace has stopped and resumed every thread once `TracerPid` is set for all of them.
fn wait_attached(pid: u32) {
    let give_up = Instant::now() + PATIENCE;
    let attached = || {
        std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process").flatten().all(|task| {
            std::fs::read_to_string(task.path().join("status"))
                .is_ok_and(|status| status.lines().any(|l| l.starts_with("TracerPid:") && !l.ends_with("\t0")))
        })
    };
    while !attached() {
        assert!(Instant::now() < give_up, "strace does not attach");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! `config reload`: asks every process of this data directory to read its settings again, and says what each answers.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mb_core::hex;
use serde::Serialize;

use crate::cli::Format;
use crate::layout::Layout;
use crate::lock::{Purpose, RoleLock};
use crate::output;
use crate::reload::{Answer, Outcome};

const ROLES: [&str; 4] = ["main-server", "proxy", "worker", "portal"];

/// How long a process is waited for that is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for its answer.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize)]
struct Row {
    roles: Vec<&'static str>,
    pid: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

pub(super) fn run(layout: &Layout, format: Format) -> Result<ExitCode> {
    let running = running(layout)?;
    if running.is_empty() {
        bail!("nothing runs on the data directory {}", layout.root().display());
    }
    let request = hex::encode(&mb_crypto::random::public_array::<16>());
    let path = layout.reload_request();
    mb_crypto::files::write_public(&path, request.as_bytes()).context("ask the running processes")?;
    let give_up = Instant::now() + PATIENCE;
    let row = |(pid, roles)| Row { roles, pid, outcome: answer(layout, pid, &request, give_up) };
    let rows: Vec<_> = running.into_iter().map(row).collect();
    if format.json {
        output::json(&rows)?;
    } else {
        for row in &rows {
            output::data(&said(row));
        }
    }
    let failed = rows.iter().any(|row| row.outcome.error.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The roles of each process, by its id.
fn running(layout: &Layout) -> Result<BTreeMap<u32, Vec<&'static str>>> {
    let mut running: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for role in ROLES {
        if layout.lock(role).exists()
            && let Err(Some(holder)) = RoleLock::try_take(layout, role, Purpose::Command)?
        {
            running.entry(holder.pid).or_default().push(role);
        }
    }
    Ok(running)
}

fn answer(layout: &Layout, pid: u32, request: &str, give_up: Instant) -> Outcome {
    let path = layout.reload_answer(pid);
    loop {
        let text = std::fs::read_to_string(&path).ok();
        let answer = text.and_then(|text| serde_json::from_str::<Answer>(&text).ok());
        if let Some(answer) = answer.filter(|answer| answer.request == request) {
            // What cannot be removed is overwritten by the next answer.
            std::fs::remove_file(&path).ok();
            return answer.outcome;
        }
        if Instant::now() >= give_up {
            let error = "does not answer: it is just starting, or busy; its log says what it does later".to_owned();
            return Outcome { error: Some(error), ..Outcome::default() };
        }
        std::thread::sleep(LOOK);
    }
}

fn said(row: &Row) -> String {
    let Outcome { applied, needs_restart, error } = &row.outcome;
    let list = |keys: &[String]| if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    let roles = row.roles.join(", ");
    match error {
        Some(error) => format!("{roles}: keeps its settings: {error}"),
        None if needs_restart.is_empty() => format!("{roles}: took up {}", list(applied)),
        None => format!("{roles}: took up {}; needs a restart for {}", list(applied), list(needs_restart)),
    }
}

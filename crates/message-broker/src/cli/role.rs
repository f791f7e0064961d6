//! `main-server`, `proxy`, `worker`, `portal`: one component alone.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// # Errors
/// Always, for now: the embedded queue lives in one process.
pub(crate) fn run(role: &str) -> Result<ExitCode> {
    bail!(
        "{role} cannot run alone on the embedded queue and database, which live in one process: \
         run `message-broker up`, which runs all four components"
    )
}

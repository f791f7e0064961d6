//! `smoke-test`: the checklist after an installation, an upgrade or a restore, done by the program itself.
//!
//! `doctor` looks at what an installation is; this uses it as clients, people and the monitoring do: a message goes in
//! by a proxy and is read again at the main server. Every check stands alone, so that one run names everything that is
//! wrong.

mod components;
mod message;
mod upkeep;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use mb_core::Clock;

use crate::access::Access;
use crate::config::Resolved;
use crate::doctor::{self, Finding};
use crate::layout::Layout;
use crate::output;

/// Try a running system as clients, people and the monitoring use it
#[derive(Args, Clone, Debug)]
pub struct SmokeTestArgs {
    /// The proxy to submit to; the default is this machine's, at the configured port
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs all checks; exit code 1 if one failed.
///
/// # Errors
/// The settings are broken; the output cannot be written.
pub async fn run(layout: &Layout, args: SmokeTestArgs) -> Result<ExitCode> {
    let resolved = Resolved::of(layout)?;
    let mut findings = components::check(layout, &resolved.config).await;
    match Access::running(layout, &resolved.config.server.url()) {
        Err(error) => {
            let fix = "start the main server: `message-broker main-server`, or `message-broker up` for all four";
            findings.push(Finding::fail("message", format!("not sent: {}", output::why(&error)), fix));
        }
        Ok(access) => {
            findings.extend(message::check(layout, &access.client, args.url.as_deref()).await);
            findings.push(upkeep::certificates(&access.client).await);
            findings.push(upkeep::backup(&access.client, Clock::System.now()).await);
            access.close().await;
        }
    }
    findings.push(upkeep::logs(&layout.root().join(&resolved.config.log.dir), Clock::System.now()));
    doctor::report(&findings, args.json)
}

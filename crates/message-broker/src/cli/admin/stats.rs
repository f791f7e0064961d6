//! `admin stats`: figures.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use mb_api::dto::{Stats, StatsPeriod, StatsQuery};
use mb_core::DomainName;

use super::{values, with_client};
use crate::cli::Format;
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Over which time to sum up
    #[arg(long, value_parser = values::period(), default_value = "all")]
    period: StatsPeriod,
    /// Only this domain's
    #[arg(long, value_parser = values::domain)]
    domain: Option<DomainName>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, args: &StatsArgs) -> Result<ExitCode> {
    let query = StatsQuery { period: Some(args.period), domain: args.domain.clone() };
    let stats = with_client(layout, async |client| client.stats(&query).await.context("read the figures")).await?;
    if args.format.json {
        output::json(&stats)?;
    } else {
        for (name, count) in lines(&stats) {
            output::data(&format!("{name:24}  {count}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(stats: &Stats) -> Vec<(String, u64)> {
    let mut lines = vec![("messages".to_owned(), stats.total_messages)];
    lines.extend(stats.messages_by_status.iter().map(|(status, count)| (format!("messages {status}"), *count)));
    let rest = [
        ("dead-lettered", stats.dead_lettered),
        ("messages in 24 hours", stats.messages_last_24h),
        ("messages in 7 days", stats.messages_last_7d),
        ("messages in 30 days", stats.messages_last_30d),
        ("clients", stats.total_clients),
        ("clients active", stats.active_clients),
        ("clients suspended", stats.suspended_clients),
        ("clients archived", stats.archived_clients),
        ("clients revoked", stats.revoked_clients),
    ];
    lines.extend(rest.map(|(name, count)| (name.to_owned(), count)));
    lines
}

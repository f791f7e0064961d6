//! `split-secrets`: one data directory for each role, with what that role needs and nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Format;
use crate::layout::Layout;
use crate::output;
use crate::service::Part;
use crate::service::split::{self, Seat};

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// Where the roles' directories are made
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Whose a role's directory is, as numbers: proxy=997:997; may be repeated, needs the right to give files away
    #[arg(long = "owner", value_name = "ROLE=UID:GID", value_parser = parse_owner)]
    owners: Vec<(String, u32, u32)>,
    #[command(flatten)]
    format: Format,
}

fn parse_owner(text: &str) -> Result<(String, u32, u32), String> {
    let expected = || "ROLE=UID:GID with a role of main-server, proxy, worker, portal and two numbers".to_owned();
    let (role, owner) = text.split_once('=').ok_or_else(expected)?;
    let (uid, gid) = owner.split_once(':').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| expected());
    let known = Part::COMPONENTS.iter().any(|part| part.command() == role);
    if known { Ok((role.to_owned(), number(uid)?, number(gid)?)) } else { Err(expected()) }
}

pub(crate) fn run(layout: &Layout, args: &SplitArgs) -> Result<ExitCode> {
    let seat = |part: Part| {
        let owner = args.owners.iter().find(|(owner, ..)| owner == part.command());
        let owner = owner.map(|(_, uid, gid)| (*uid, *gid));
        Seat { part, dir: args.to.join(part.command()), owner }
    };
    let seats = Part::COMPONENTS.map(seat);
    split::fill(layout, &seats)?;
    if args.format.json {
        let row = |seat: &Seat| json!({ "role": seat.part.command(), "data_dir": seat.dir });
        output::json(&seats.iter().map(row).collect::<Vec<_>>())?;
    } else {
        output::note(
            "made; stop the services, move journal/ and proxy/ to the proxy's directory, and start each role in its own",
        );
        for seat in &seats {
            output::data(&seat.dir.display().to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `keys`: the master keys, through the same routes whether the system runs or not.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mb_api::client::Client;
use mb_api::dto::{KeyState, RewrapKeys};
use mb_api::page::Page;
use mb_core::KeyId;
use serde_json::json;

use super::Format;
use crate::access::Access;
use crate::config::{self, Resolved};
use crate::layout::Layout;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the first master key, if there is none
    Init(Format),
    /// List the master keys and what needs them
    List(Format),
    /// Take a new master key into use; the old one is kept and still opens
    Rotate(RotateArgs),
    /// Seal anew what is sealed under older master keys; may be broken off and repeated
    Rewrap(Format),
    /// Destroy a master key that nothing needs any more
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Only make the key, to be copied to the other main servers
    #[arg(long)]
    prepare: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The key
    #[arg(value_parser = parse_id)]
    id: KeyId,
    /// A proxy whose journal is gone for good, by the id that `keys list --json` shows: it is waited for no more
    #[arg(long = "gone", value_name = "PROXY", value_parser = parse_id)]
    gone: Vec<KeyId>,
    #[command(flatten)]
    format: Format,
}

fn parse_id(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| "an id has 32 hexadecimal digits".to_owned())
}

pub(crate) async fn run(layout: &Layout, command: KeysCommand) -> Result<ExitCode> {
    let config = Resolved::load(layout.root(), &config::environment_pairs())?.config;
    let existed = config.encryption_key(layout.root()).exists();
    let access = match command {
        KeysCommand::Init(_) => Access::found(layout).await?,
        _ => Access::open(layout).await?,
    };
    let done = match command {
        KeysCommand::Init(format) => init(&access.client, existed, format).await,
        KeysCommand::List(format) => list(&access.client, format).await,
        KeysCommand::Rotate(args) => rotate(&access.client, &args).await,
        KeysCommand::Rewrap(format) => rewrap(&access.client, format).await,
        KeysCommand::Delete(args) => delete(&access.client, &args).await,
    };
    access.close().await;
    done
}

async fn init(client: &Client, existed: bool, format: Format) -> Result<ExitCode> {
    let keys = client.master_keys().await.context("list master keys")?.data;
    let active = keys.iter().find(|key| key.state == KeyState::Active).context("there is no active master key")?;
    if format.json {
        output::json(&json!({ "id": active.id, "created": !existed }))?;
    } else {
        output::note(if existed { "the master key is already there" } else { "the master key was made" });
        output::data(&active.id.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, format: Format) -> Result<ExitCode> {
    let keys = client.master_keys().await.context("list master keys")?.data;
    if format.json {
        output::json(&Page { data: keys, next: None })?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in keys {
        let state = format!("{:?}", key.state).to_lowercase();
        let proxies = key.proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>().join(",");
        output::data(format!("{}  {state:8} {:>8} uses  {proxies}", key.id, key.uses).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(client: &Client, args: &RotateArgs) -> Result<ExitCode> {
    let key = if args.prepare { client.prepare_key().await } else { client.rotate_key().await };
    let key = key.context("rotate the master key")?;
    if args.format.json {
        output::json(&key)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(if args.prepare {
        "prepared: copy encryption.next.key, beside the key in use, to the other main servers, then keys rotate"
    } else {
        "in use: proxies seal under it; the old key still opens what it sealed, until keys rewrap and keys delete"
    });
    output::data(&key.id.to_string());
    Ok(ExitCode::SUCCESS)
}

async fn rewrap(client: &Client, format: Format) -> Result<ExitCode> {
    let (mut rewrapped, mut unreadable, mut cursor) = (0, 0, None);
    let left = loop {
        let step = client.rewrap_keys(&RewrapKeys { cursor }).await.context("seal anew")?;
        rewrapped += step.rewrapped;
        unreadable += step.unreadable;
        if step.rewrapped > 0 && !format.json {
            output::note(&format!("{rewrapped} sealed anew, {} left", step.left));
        }
        cursor = step.next;
        if cursor.is_none() {
            break step.left;
        }
    };
    if format.json {
        output::json(&json!({ "rewrapped": rewrapped, "unreadable": unreadable, "left": left }))?;
    } else {
        output::data(&rewrapped.to_string());
    }
    if unreadable > 0 {
        bail!("{unreadable} could not be opened and stay as they are: see keys list and the main server's log");
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(client: &Client, args: &DeleteArgs) -> Result<ExitCode> {
    for proxy in &args.gone {
        client.forget_key_proxy(proxy).await.with_context(|| format!("forget proxy {proxy}"))?;
    }
    client.delete_key(&args.id).await.with_context(|| format!("destroy master key {}", args.id))?;
    if args.format.json {
        output::json(&json!({ "id": args.id, "deleted": true }))?;
    } else {
        output::note("destroyed on this main server; backups made before the last keys rewrap need the key they hold");
    }
    Ok(ExitCode::SUCCESS)
}

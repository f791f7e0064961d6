//! `ca`: certificates, through the same routes whether the system runs or not.

mod signing;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use mb_api::dto::{
    CertificateQuery, CertificateRow, CertificateStatus, ExpiringQuery, GenerateCertificate, RevokeCertificate,
};
use mb_api::page::Page;
use mb_core::{ClientName, ClientStatus, Clock, DomainName, Identity, Role};
use mb_crypto::TrustAnchors;
use serde::Serialize;

use super::Format;
use crate::access::Access;
use crate::layout::{Layout, check_name, read_text};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Make the certificate authority, its revocation list and the components' certificates
    Init(Format),
    /// Issue a certificate and its private key
    Issue(IssueArgs),
    /// Make a certificate for a key that its holder keeps
    Sign(signing::SignArgs),
    /// Make a new certificate and key for a name that has a valid one, which stays valid
    Renew(signing::RenewArgs),
    /// Sign the revocation list anew and write certs/crl.pem
    Crl(Format),
    /// List certificates
    List {
        /// Only those that are active, expired or revoked
        #[arg(long, value_name = "STATUS", conflicts_with = "expiring")]
        status: Option<String>,
        /// Only those that expire within so many days and were not renewed, the first to expire first
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        expiring: Option<u32>,
        #[command(flatten)]
        format: Format,
    },
    /// Check a certificate file against the CA, the time and the revoked set
    Verify {
        /// The certificate, PEM
        file: PathBuf,
        #[command(flatten)]
        format: Format,
    },
    /// Revoke a client's or component's certificates
    Revoke {
        /// Whose; all its certificates
        #[arg(required_unless_present = "serial", conflicts_with = "serial")]
        name: Option<String>,
        #[command(flatten)]
        which: RevokeArgs,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Only the certificate with this serial number
    #[arg(long)]
    serial: Option<String>,
    /// With a serial number: also what was renewed over that certificate
    #[arg(long, requires = "serial")]
    successors: bool,
    /// In which role, where the name is of several holders
    #[arg(long, conflicts_with = "serial", value_parser = parse_role)]
    role: Option<Role>,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The client's or component's name
    name: String,
    /// Clients and consumers: the domain (tenant); others: host names and addresses, separated by commas
    domain: Option<String>,
    /// Validity in days
    #[arg(value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// What it entitles to [default: client; the names server, proxy, worker, portal, admin: that role]
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// Validity in days
    #[arg(long = "days", value_name = "N", conflicts_with = "days", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days_option: Option<u32>,
    /// Write a PKCS#12 file as well; its password is printed once
    #[arg(long)]
    p12: bool,
    /// Replace the files of a certificate that is still good
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: Format,
}

fn parse_role(text: &str) -> Result<Role, String> {
    let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    Role::parse(text).ok_or_else(|| format!("one of {}", names.join(", ")))
}

pub(crate) async fn run(layout: &Layout, command: CaCommand) -> Result<ExitCode> {
    match command {
        CaCommand::Init(format) => init(layout, format).await,
        CaCommand::Issue(args) => issue(layout, args).await,
        CaCommand::Sign(args) => signing::sign(layout, args).await,
        CaCommand::Renew(args) => signing::renew(layout, args).await,
        CaCommand::Crl(format) => signing::crl(layout, format).await,
        CaCommand::List { status, expiring, format } => list(layout, status, expiring, format).await,
        CaCommand::Verify { file, format } => verify(layout, file, format).await,
        CaCommand::Revoke { name, which, format } => revoke(layout, name, which, format).await,
    }
}

async fn init(layout: &Layout, format: Format) -> Result<ExitCode> {
    let existed = layout.ca_certificate().exists();
    Access::found(layout).await?.close().await;
    let ca = layout.ca_certificate();
    let text = read_text(&ca)?;
    let chain = mb_crypto::pem::certificates(&text)?;
    let fingerprint = chain.first().map(|der| mb_crypto::identity::fingerprint(der)).unwrap_or_default();
    if format.json {
        output::json(&serde_json::json!({ "ca_certificate": ca, "fingerprint": fingerprint, "created": !existed }))?;
    } else {
        let word = if existed { "already there" } else { "created" };
        output::note(&format!("certificate authority {word}: {}", ca.display()));
        output::data(&fingerprint);
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Serialize)]
struct IssuedFiles {
    id: String,
    name: String,
    role: Role,
    certificate: PathBuf,
    private_key: PathBuf,
    fingerprint: String,
    expires_at: mb_core::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pkcs12: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pkcs12_password: Option<String>,
}

/// What the place of a certificate means: a tenant for roles that have one, else names and addresses.
fn place_of(text: Option<&str>, role: Role) -> Result<(Option<DomainName>, Vec<String>)> {
    match (text, role.has_domain()) {
        (None, _) => Ok((None, Vec::new())),
        (Some(text), true) => {
            let domain = DomainName::parse(text)
                .with_context(|| format!("{text:?} is not a valid domain: {}", mb_core::name::NAME_RULE))?;
            Ok((Some(domain), Vec::new()))
        }
        (Some(text), false) => Ok((None, text.split(',').map(|name| name.trim().to_owned()).collect())),
    }
}

async fn issue(layout: &Layout, args: IssueArgs) -> Result<ExitCode> {
    let client_id = ClientName::parse(&args.name)
        .with_context(|| format!("{:?} is not a valid name: {}", args.name, mb_core::name::NAME_RULE))?;
    let role = args.role.unwrap_or_else(|| default_role(&args.name));
    check_name(&args.name, role)?;
    let file = layout.certificate(&args.name, role);
    let before = still_good(&file)?;
    // A component takes up what lies in its place; a client's key may lie nowhere else.
    let replaces = args.force || !role.has_domain();
    if let Some(before) = before.as_ref().filter(|_| !replaces) {
        let (file, name, until) = (file.display(), &args.name, before.not_after);
        bail!("{file} is good until {until}: `ca renew {name}` makes the next one, --force replaces it and its key");
    }
    let (domain, alt_names) = place_of(args.domain.as_deref(), role)?;
    let ask = GenerateCertificate {
        client_id,
        domain,
        validity_days: args.days.or(args.days_option),
        role: Some(role),
        alt_names,
        pkcs12: args.p12,
    };
    let access = Access::open(layout).await?;
    let generated = access.client.generate_certificate(&ask).await;
    access.close().await;
    let generated = generated.with_context(|| format!("issue {}", args.name))?;
    if let Some(before) = before {
        let serial = mb_core::hex::encode(&before.serial);
        output::note(&format!("the certificate before stays good until it is revoked: ca revoke --serial {serial}"));
    }
    signing::finish(layout, &args.name, role, generated, args.format)
}

/// Whom the certificate in a file names, if it is there and has not expired.
fn still_good(path: &Path) -> Result<Option<Identity>> {
    if !path.exists() {
        return Ok(None);
    }
    // What cannot be read as a certificate is nobody's key to lose.
    let chain = mb_crypto::pem::certificates(&read_text(path)?).unwrap_or_default();
    let identity = chain.first().and_then(|leaf| mb_crypto::identity::from_der(leaf).ok());
    Ok(identity.filter(|identity| identity.not_after > Clock::System.now()))
}

/// The names of components mean that role (contract, section 6).
fn default_role(name: &str) -> Role {
    match Role::parse(name) {
        Some(role @ (Role::Server | Role::Proxy | Role::Worker | Role::Portal | Role::Admin)) => role,
        _ => Role::Client,
    }
}

async fn all(access: &Access) -> Result<Vec<CertificateRow>> {
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let limit = Some(mb_api::page::MAX_LIMIT);
        let query = CertificateQuery { limit, cursor, ..CertificateQuery::default() };
        let page = access.client.certificates(&query).await.context("list certificates")?;
        rows.extend(page.data);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

/// The same of those that expire within so many days.
async fn all_expiring(access: &Access, days: u32) -> Result<Vec<CertificateRow>> {
    let mut rows = Vec::new();
    let mut query = ExpiringQuery { days: Some(days), limit: Some(mb_api::page::MAX_LIMIT), cursor: None };
    loop {
        let page = access.client.expiring_certificates(&query).await.context("list certificates")?;
        rows.extend(page.data);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(rows);
        }
    }
}

async fn list(layout: &Layout, status: Option<String>, expiring: Option<u32>, format: Format) -> Result<ExitCode> {
    let wanted = match status.as_deref() {
        None => None,
        Some("active") => Some(CertificateStatus::Active),
        Some("expired") => Some(CertificateStatus::Expired),
        Some("revoked") => Some(CertificateStatus::Revoked),
        Some(other) => bail!("--status {other}: use active, expired or revoked"),
    };
    let access = Access::open(layout).await?;
    let rows = match expiring {
        None => all(&access).await,
        Some(days) => all_expiring(&access, days).await,
    };
    access.close().await;
    let mut rows = rows?;
    rows.retain(|row| wanted.is_none_or(|wanted| row.status == wanted));
    if format.json {
        output::json(&Page { data: rows, next: None })?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows {
        let status = format!("{:?}", row.status).to_lowercase();
        let domain = row.domain.map_or_else(|| "-".to_owned(), |domain| domain.to_string());
        let name = row.client_id;
        let soon = row.expires_within_days.map_or_else(String::new, |days| format!("  expires within {days} days"));
        let (role, ends, id) = (row.role, row.expires_at, row.id);
        output::data(&format!("{name:24} {role:10} {domain:16} {status:8} {ends}  {id}{soon}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(layout: &Layout, file: PathBuf, format: Format) -> Result<ExitCode> {
    let anchors = TrustAnchors::from_pem(&read_text(&layout.ca_certificate())?).context("read ca.crt")?;
    let chain = mb_crypto::pem::certificates(&read_text(&file)?).with_context(|| format!("read {}", file.display()))?;
    let identity = match anchors.verify(&chain, Clock::System.now()) {
        Ok(identity) => identity,
        Err(error) => bail!("{} is not valid: {error}", file.display()),
    };
    let access = Access::open(layout).await?;
    let serial = mb_core::hex::encode(&identity.serial);
    let rows = all(&access).await;
    let client = ClientName::parse(&identity.name).filter(|_| identity.role.has_domain());
    let client = match &client {
        // A client that is not known may act.
        Some(name) => access.client.client(name).await.ok(),
        None => None,
    };
    access.close().await;
    let rows = rows?;
    if let Some(client) = client.filter(|client| client.status != ClientStatus::Active) {
        bail!("{} is refused: the client {} is {}", file.display(), client.id, client.status);
    }
    if let Some(row) = rows.into_iter().find(|row| row.id == serial)
        && row.status == CertificateStatus::Revoked
    {
        bail!("{} is not valid: it was revoked ({})", file.display(), row.reason.unwrap_or_default());
    }
    if format.json {
        output::json(&serde_json::json!({
            "valid": true, "name": identity.name, "role": identity.role, "domain": identity.domain,
            "serial": serial, "fingerprint": identity.fingerprint, "expires_at": identity.not_after,
        }))?;
    } else {
        output::data(&format!("valid: {} ({}), until {}", identity.name, identity.role, identity.not_after));
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(layout: &Layout, name: Option<String>, which: RevokeArgs, format: Format) -> Result<ExitCode> {
    let client_id = match &name {
        Some(name) => Some(
            ClientName::parse(name)
                .with_context(|| format!("{name:?} is not a valid name: {}", mb_core::name::NAME_RULE))?,
        ),
        None => None,
    };
    let access = Access::open(layout).await?;
    let RevokeArgs { serial, successors, role, reason } = which;
    let ask = RevokeCertificate { client_id, role, serial, reason, successors };
    let answer = access.client.revoke_certificate(&ask).await.context("revoke");
    let published = access.publish_revocations(layout).await;
    access.close().await;
    let answer = answer?;
    published?;
    if format.json {
        output::json(&answer)?;
    } else {
        answer.revoked.iter().for_each(|serial| output::data(serial));
        output::note(&format!("{} revoked", output::counted(answer.revoked.len(), "certificate")));
        for (names, fault) in [(&answer.behind, "do not know it yet"), (&answer.silent, "are not heard of")] {
            if !names.is_empty() {
                let names = names.join(", ");
                output::note(&format!("proxies that {fault} and may go on letting them in: {names}"));
            }
        }
        if answer.tokens > 0 {
            let tokens = usize::try_from(answer.tokens).unwrap_or(usize::MAX);
            output::note(&format!("{} voided", output::counted(tokens, "unused enrolment token")));
        }
        if !answer.successors.is_empty() {
            let good = answer.successors.join(", ");
            output::note(&format!("renewed over it and still good: {good} (--successors revokes these, too)"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

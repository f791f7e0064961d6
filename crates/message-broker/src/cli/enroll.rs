//! `enroll`: a first certificate for a key that is made here and never leaves this machine.
//!
//! `admin clients enroll` prints the token with the CA certificate's fingerprint behind it. By that the main server is known
//! before the token is sent, though nothing of it is on this machine yet.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mb_api::client::{Client, ClientError, Transport};
use mb_api::dto::{Enrol, SecretText, SignedCertificate};
use mb_core::Secret;
use mb_crypto::ca::SigningRequest;
use serde_json::json;

use super::Format;
use crate::layout::{KeyPair, Layout, read_text};
use crate::output;

/// A repeat with the same key gets the same certificate.
const TRIES: u32 = 3;

#[derive(Debug, Args)]
pub(crate) struct EnrollArgs {
    /// The main server, `https://HOST[:PORT]`
    #[arg(long)]
    url: String,
    /// What `admin clients enroll` printed; `-` reads it from standard input
    #[arg(long)]
    token: String,
    /// The CA certificate, if the token came without its fingerprint
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

pub(crate) async fn run(layout: &Layout, args: EnrollArgs) -> Result<ExitCode> {
    let given = if args.token == "-" { from_stdin()? } else { Secret::new(args.token) };
    let (token, pin) = match given.expose().trim().split_once('.') {
        Some((token, pin)) => (token, Some(pin)),
        None => (given.expose().trim(), None),
    };
    let ca = match (&args.ca, pin) {
        (Some(file), _) => read_text(file)?,
        (None, Some(pin)) => fetch_ca(&args.url, pin).await?,
        (None, None) => bail!("the token comes without the CA's fingerprint: name the CA certificate with --ca"),
    };
    let tls = mb_crypto::tls::main_server_client_config(None, &ca, &layout.listed_as_revoked(&ca))
        .context("read the CA certificate")?;
    let client = Client::new(Transport::mtls(tls, &args.url).context("connect to the main server")?);
    let (key, csr) = SigningRequest::create("enroll").context("make a key")?;
    let signed = ask(&client, &Enrol { token: SecretText::new(token.to_owned()), csr }).await.context("enroll")?;
    let certificate = keep(layout, &signed, &key)?;
    if args.format.json {
        output::json(&json!({
            "name": signed.client_id, "role": signed.role, "certificate": certificate,
            "private_key": certificate.with_extension("key"), "fingerprint": signed.fingerprint,
            "expires_at": signed.expires_at,
        }))?;
    } else {
        output::note(&format!("enrolled as {} ({}), until {}", signed.client_id, signed.role, signed.expires_at));
        output::data(&certificate.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn from_stdin() -> Result<Secret<String>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("read the token")?;
    Ok(Secret::new(line))
}

async fn fetch_ca(url: &str, pin: &str) -> Result<String> {
    let tls = mb_crypto::tls::unverified_client_config()?;
    let client = Client::new(Transport::mtls(tls, url).context("connect to the main server")?);
    let pem = client.ca_certificate().await.context("fetch the CA certificate")?;
    let certificates = mb_crypto::pem::certificates(&pem).context("read the CA certificate")?;
    let pinned =
        certificates.first().is_some_and(|der| mb_crypto::identity::fingerprint(der).eq_ignore_ascii_case(pin));
    ensure!(pinned, "{url} is not the main server that the token is of: its CA certificate is another");
    Ok(pem)
}

async fn ask(client: &Client, enrol: &Enrol) -> Result<SignedCertificate, ClientError> {
    let mut tries = 1;
    loop {
        match client.enrol(enrol).await {
            Err(ClientError::Unreachable(_) | ClientError::Timeout) if tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// Writes both to where the role's files belong, and the CA's certificate to where a component looks for it.
fn keep(layout: &Layout, signed: &SignedCertificate, key: &Secret<String>) -> Result<PathBuf> {
    layout.create()?;
    if !signed.role.has_domain() {
        keep_ca(&layout.ca_certificate(), &signed.ca_certificate)?;
    }
    layout.write(&KeyPair {
        name: &signed.client_id,
        role: signed.role,
        certificate: &signed.certificate,
        private_key: key,
        ca_certificate: &signed.ca_certificate,
        fingerprint: &signed.fingerprint,
    })
}

fn keep_ca(path: &Path, pem: &str) -> Result<()> {
    if path.exists() {
        ensure!(read_text(path)?.contains(pem.trim()), "{} is another CA's: move it away first", path.display());
        return Ok(());
    }
    mb_crypto::files::write_public(path, pem.as_bytes()).context("write ca.crt")
}

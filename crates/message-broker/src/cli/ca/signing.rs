//! `ca sign`, `ca renew`, `ca crl`, and the PKCS#12 file that goes with a key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use mb_api::dto::{GeneratedCertificate, RenewCertificate, SignCertificate};
use mb_core::{ClientName, Role};
use mb_crypto::ca::SigningRequest;

use super::{IssuedFiles, default_role, parse_role, place_of};
use crate::access::{self, Access};
use crate::cli::Format;
use crate::layout::{Layout, check_name, read_text};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The signing request, PEM; of what it says only the public key counts
    csr: PathBuf,
    /// The certificate's name [default: the common name in the request]
    #[arg(long)]
    name: Option<String>,
    /// Clients and consumers: the domain (tenant); others: host names and addresses, separated by commas
    #[arg(long)]
    domain: Option<String>,
    /// Validity in days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// What it entitles to [default: client; the names server, proxy, worker, portal, admin: that role]
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// Where to write the certificate [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// The client's or component's name
    name: String,
    /// In which role, where the name is of several holders
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// Validity in days [default: as long as before]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// Write a PKCS#12 file as well; its password is printed once
    #[arg(long)]
    p12: bool,
    #[command(flatten)]
    format: Format,
}

fn client_name(text: &str) -> Result<ClientName> {
    ClientName::parse(text).with_context(|| format!("{text:?} is not a valid name: {}", mb_core::name::NAME_RULE))
}

pub(super) async fn sign(layout: &Layout, args: SignArgs) -> Result<ExitCode> {
    let csr = read_text(&args.csr)?;
    let request = SigningRequest::from_pem(&csr).with_context(|| format!("read {}", args.csr.display()))?;
    let wished = request.common_name().map(str::to_owned);
    let name = args.name.or(wished).context("the request names nobody: say whose certificate with --name")?;
    let role = args.role.unwrap_or_else(|| default_role(&name));
    check_name(&name, role)?;
    let (domain, alt_names) = place_of(args.domain.as_deref(), role)?;
    let client_id = client_name(&name)?;
    let ask = SignCertificate { csr, client_id, domain, validity_days: args.days, role: Some(role), alt_names };
    let access = Access::open(layout).await?;
    let signed = access.client.sign_certificate(&ask).await;
    access.close().await;
    let signed = signed.with_context(|| format!("sign for {name}"))?;
    if let Some(out) = &args.out {
        mb_crypto::files::write_public(out, signed.certificate.as_bytes())
            .with_context(|| format!("write {}", out.display()))?;
    }
    if args.format.json {
        output::json(&signed)?;
    } else {
        output::note(&format!("signed for {name} as {role}, valid until {}", signed.expires_at));
        match &args.out {
            Some(out) => output::data(&out.display().to_string()),
            None => output::data(signed.certificate.trim_end()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn renew(layout: &Layout, args: RenewArgs) -> Result<ExitCode> {
    let client_id = client_name(&args.name)?;
    let ask = RenewCertificate { client_id, role: args.role, validity_days: args.days, pkcs12: args.p12 };
    let access = Access::open(layout).await?;
    let renewed = access.client.reissue_certificate(&ask).await;
    access.close().await;
    let generated = renewed.with_context(|| format!("renew {}", args.name))?;
    let leaf = mb_crypto::pem::certificates(&generated.certificate)?.swap_remove(0);
    let role = mb_crypto::identity::from_der(&leaf).context("read the certificate")?.role;
    finish(layout, &args.name, role, generated, args.format)
}

/// Writes what was issued to where it belongs, and says so.
pub(super) fn finish(
    layout: &Layout,
    name: &str,
    role: Role,
    generated: GeneratedCertificate,
    format: Format,
) -> Result<ExitCode> {
    let certificate = access::keep(layout, name, role, &generated)?;
    let p12 = keep_p12(&certificate, &generated)?;
    let password = generated.pkcs12.as_ref().map(|made| made.password.secret().expose().clone());
    let issued = IssuedFiles {
        id: generated.id,
        name: name.to_owned(),
        role,
        private_key: certificate.with_extension("key"),
        certificate,
        fingerprint: generated.fingerprint,
        expires_at: generated.expires_at,
        pkcs12: p12,
        pkcs12_password: password,
    };
    if format.json {
        output::json(&issued)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("issued for {name} as {role}, valid until {}", issued.expires_at));
    if let (Some(file), Some(password)) = (&issued.pkcs12, &issued.pkcs12_password) {
        output::note(&format!("{}: password {password} (shown this once)", file.display()));
    }
    output::data(&issued.certificate.display().to_string());
    Ok(ExitCode::SUCCESS)
}

fn keep_p12(certificate: &Path, generated: &GeneratedCertificate) -> Result<Option<PathBuf>> {
    let Some(made) = &generated.pkcs12 else { return Ok(None) };
    let bytes = STANDARD.decode(made.file.secret().expose()).context("read the PKCS#12 file")?;
    let path = certificate.with_extension("p12");
    mb_crypto::files::write_private(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
    Ok(Some(path))
}

/// Signs the revocation list anew and writes it.
pub(super) async fn crl(layout: &Layout, format: Format) -> Result<ExitCode> {
    let access = Access::open(layout).await?;
    let list = access.client.revocation_list().await.context("sign the revocation list");
    access.close().await;
    let list = list?;
    let path = layout.crl();
    mb_crypto::files::write_public(&path, list.as_bytes()).context("write crl.pem")?;
    if format.json {
        output::json(&serde_json::json!({ "crl": path, "pem": list }))?;
    } else {
        output::data(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

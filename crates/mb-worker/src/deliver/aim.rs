//! A destination as it is shot at: everything that can be prepared before the first message.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use mb_api::dto::delivery::Target;
use mb_core::Timestamp;
use mb_crypto::webhook::WebhookSecret;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

/// A destination's settings, read.
#[derive(Debug)]
pub(crate) struct Aim {
    pub(crate) version: u64,
    pub(crate) concurrency: u32,
    pub(crate) rate: Option<u32>,
    /// `Err` says why nothing can be sent there.
    pub(crate) place: Result<Place, String>,
}

/// Where and how.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: Uri,
    pub(crate) host_header: HeaderValue,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    secrets: Vec<WebhookSecret>,
}

impl Aim {
    pub(crate) fn new(target: &Target, roots: &Arc<RootCertStore>) -> Self {
        Self {
            version: target.version,
            concurrency: target.concurrency.max(1),
            rate: target.rate,
            place: Place::of(target, roots),
        }
    }
}

impl Place {
    fn of(target: &Target, roots: &Arc<RootCertStore>) -> Result<Self, String> {
        let uri: Uri = target.url.parse().map_err(|_| "the destination's URL is none".to_owned())?;
        let authority = uri.authority().ok_or("the destination's URL names no host")?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secrets = target.secrets.iter().map(|secret| WebhookSecret::parse(secret.secret().expose()));
        let secrets: Vec<_> = secrets.collect::<Option<_>>().ok_or("the destination's secret is none")?;
        if secrets.is_empty() {
            return Err("the destination's secret does not open".to_owned());
        }
        let tls = if is_tls { Some(tls(target, &host, roots)?) } else { None };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", if uri.path().is_empty() { "/" } else { uri.path() });
        Ok(Self {
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            path: path.parse().map_err(|_| "the destination's URL has no path that can be asked for")?,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| "the destination's host is none")?,
            host,
            tls,
            secrets,
        })
    }

    /// The header `webhook-signature`: one signature for each secret that is good, the newest first.
    pub(crate) fn signature(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        self.secrets.iter().map(|secret| secret.sign(id, at, body)).collect::<Vec<_>>().join(" ")
    }
}

fn tls(
    target: &Target,
    host: &str,
    roots: &Arc<RootCertStore>,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| "the destination's host is none".to_owned())?;
    let key = target.client_key.as_ref().map(|key| key.secret().expose().as_str());
    if target.client_certificate.is_some() && key.is_none() {
        return Err("the key of the certificate to show does not open".to_owned());
    }
    let identity = target.client_certificate.as_deref().zip(key);
    let config = mb_crypto::tls::webhook_config(roots, target.ca.as_deref(), identity);
    Ok((Arc::new(config.map_err(|error| format!("the destination's certificates: {error}"))?), name))
}

//! What can be set about a destination, held to its rules.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use http::Uri;
use mb_api::dto::{DestinationRow, DestinationSettings, SecretText};
use mb_api::paths;
use mb_api::problem::ApiError;
use mb_core::destination::MAX_NAMED;
use mb_core::{ClientName, DestinationKind, DestinationName, DomainName, FieldError, RetrySchedule, TopicGlob};
use mb_store::DestinationChange;

use super::{MAX_BODY, number, present};
use crate::app::App;
use crate::caller::Caller;
use crate::delivering;
use crate::routes::store_fault;

/// Requests at once, unless it is said.
const CONCURRENCY: u32 = 8;
const MAX_CONCURRENCY: u32 = 256;
const MAX_RATE: u32 = 1_000_000;
const MAX_URL: usize = 2000;

#[utoipa::path(
    put, path = paths::DESTINATION, tag = "destinations", operation_id = "set_destination",
    summary = "Set what a destination takes and how it is reached",
    description = "What is absent stays as it is.",
    params(("id" = mb_api::schema::DestinationId, Path, description = "The destination")),
    request_body = DestinationSettings,
    responses((status = 200, body = DestinationRow)),
    security(("bearer" = []), ("portal_session" = []), ("certificate" = ["admin"])),
)]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DestinationRow>, ApiError> {
    let actor = caller.admin()?;
    let mut request: DestinationSettings = mb_runtime::body::read_json(body, MAX_BODY).await?;
    let id = number(&id)?;
    let before = app.store.destination(id).await.map_err(store_fault)?.ok_or_else(ApiError::not_found)?;
    let route = &before.route;
    if route.kind == DestinationKind::Webhook {
        request.url.get_or_insert_with(|| before.settings.url.clone());
    }
    let given = Given::check(request, route.kind, "")?;
    let settings = given.settings(&app, &route.domain, &route.name, Some(&before.settings))?;
    let topics = given.topics.unwrap_or_else(|| route.topics.clone());
    let clients = given.clients.unwrap_or_else(|| route.clients.clone());
    let change = DestinationChange::Set { topics, clients, settings };
    let row = app.store.change_destination(id, &change, actor.as_str()).await.map_err(store_fault)?;
    let row = row.ok_or_else(ApiError::not_found)?;
    app.delivering.announce(&app.store).await.map_err(store_fault)?;
    Ok(Json(present(row, app.clock.now())))
}

/// Settings that obey every rule.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) topics: Option<Vec<TopicGlob>>,
    pub(super) clients: Option<Vec<ClientName>>,
    url: Option<String>,
    retry: Option<RetrySchedule>,
    concurrency: Option<u32>,
    rate: Option<u32>,
    ca: Option<String>,
    identity: Option<(String, Option<SecretText>)>,
}

impl Given {
    /// Holds settings to their rules; broken ones are said under the member that they came in.
    pub(super) fn check(settings: DestinationSettings, kind: DestinationKind, under: &str) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let mut fault = |member: &str, code: &'static str, detail: String| {
            errors.push(FieldError::new(format!("{under}/{member}"), code, detail));
        };
        let DestinationSettings { url, topics, clients, retry, concurrency, rate, ca, client_certificate, client_key } =
            settings;
        match (kind, &url) {
            (DestinationKind::Webhook, None) => fault("url", "required", "a webhook needs a url".to_owned()),
            (DestinationKind::Webhook, Some(url)) => {
                if let Err(detail) = check_url(url) {
                    fault("url", "invalid_url", detail.to_owned());
                }
            }
            (DestinationKind::Pull, Some(_)) => fault("url", "not_allowed", "one that pulls has no url".to_owned()),
            (DestinationKind::Pull, None) => {}
        }
        for (member, count) in [("topics", topics.as_ref().map(Vec::len)), ("clients", clients.as_ref().map(Vec::len))]
        {
            if count.is_some_and(|count| count > MAX_NAMED) {
                fault(member, "too_many", format!("at most {MAX_NAMED} {member}"));
            }
        }
        if concurrency.is_some_and(|count| !(1..=MAX_CONCURRENCY).contains(&count)) {
            fault("concurrency", "out_of_range", format!("concurrency must be 1 to {MAX_CONCURRENCY}"));
        }
        if rate.is_some_and(|rate| rate > MAX_RATE) {
            fault("rate", "out_of_range", format!("rate must be 0 to {MAX_RATE}"));
        }
        if ca.as_ref().is_some_and(|pem| !pem.is_empty() && !holds_certificates(pem)) {
            fault("ca", "invalid_certificate", "ca must be certificates in PEM".to_owned());
        }
        let has_certificate = client_certificate.as_ref().is_some_and(|pem| !pem.is_empty());
        if has_certificate && !is_identity(client_certificate.as_deref(), client_key.as_ref()) {
            let detail = "client_certificate and client_key must be a certificate in PEM and its key".to_owned();
            fault("client_certificate", "invalid_certificate", detail);
        }
        if !has_certificate && client_key.is_some() {
            fault("client_key", "not_allowed", "client_key is the key of a client_certificate".to_owned());
        }
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        let identity = client_certificate.map(|pem| (pem, client_key));
        Ok(Self { topics, clients, url, retry, concurrency, rate, ca, identity })
    }

    /// With what was there before, or the defaults.
    pub(super) fn settings(
        &self,
        app: &App,
        domain: &DomainName,
        name: &DestinationName,
        before: Option<&mb_store::DestinationSettings>,
    ) -> Result<mb_store::DestinationSettings, ApiError> {
        let identity = match &self.identity {
            None => before.and_then(|before| before.identity.clone()),
            Some((certificate, Some(key))) if !certificate.is_empty() => {
                let sealed = delivering::seal_identity(&app.master, domain, name, key.secret());
                Some((certificate.clone(), sealed.map_err(ApiError::internal)?))
            }
            Some(_) => None,
        };
        let ca = match &self.ca {
            None => before.and_then(|before| before.ca.clone()),
            Some(pem) => Some(pem.clone()).filter(|pem| !pem.is_empty()),
        };
        let rate = match self.rate {
            None => before.and_then(|before| before.rate),
            Some(rate) => Some(rate).filter(|rate| *rate > 0),
        };
        Ok(mb_store::DestinationSettings {
            url: self.url.clone().or_else(|| before.map(|before| before.url.clone())).unwrap_or_default(),
            retry: self
                .retry
                .clone()
                .or_else(|| before.map(|before| before.retry.clone()))
                .unwrap_or_else(|| app.retry.clone()),
            concurrency: self.concurrency.or(before.map(|before| before.concurrency)).unwrap_or(CONCURRENCY),
            rate,
            ca,
            identity,
        })
    }
}

/// Where a URL leads is judged as it is connected to; here only its form is.
fn check_url(url: &str) -> Result<(), &'static str> {
    let form = "url must be https://HOST[:PORT]/PATH, or http:// for an address that the operator allows";
    if url.len() > MAX_URL || url.contains('#') {
        return Err("url must have at most 2000 characters and no fragment");
    }
    if !url.is_ascii() {
        return Err("url must be ASCII: other characters in their percent-encoded form, names in their punycode");
    }
    let uri: Uri = url.parse().map_err(|_| form)?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none_or(str::is_empty) {
        return Err(form);
    }
    // The parser takes a port that is none for no port at all.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    if after_host.contains(':') && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("url must name a port from 1 to 65535, or none");
    }
    if !uri.host().is_some_and(is_host) {
        return Err("url must name a host: a name, or an address in its usual form");
    }
    if authority.contains('@') {
        return Err("url must not hold a user or password: who calls is shown by the signature");
    }
    Ok(())
}

/// An address, or a name as certificates know them (RFC 1123, section 2.1): one that ends in a number is neither.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host);
    let ends_in_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    bare.parse::<std::net::IpAddr>().is_ok() || (name.len() <= 253 && !ends_in_number && name.split('.').all(label))
}

fn holds_certificates(pem: &str) -> bool {
    mb_crypto::pem::certificates(pem).is_ok_and(|certificates| !certificates.is_empty())
}

fn is_identity(certificate: Option<&str>, key: Option<&SecretText>) -> bool {
    let (Some(certificate), Some(key)) = (certificate, key) else { return false };
    mb_crypto::tls::client_config(Some((certificate, key.secret().expose())), certificate, &[]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_a_host_and_nothing_secret() {
        for good in [
            "https://hooks.example/a?b=c",
            "https://hooks.example?b=c",
            "http://127.0.0.1:9000",
            "https://[::1]:8443/x",
            "https://a_b.c-d.example./",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "hooks.example",
            "/a",
            "ftp://a/b",
            "https://",
            "https://u:p@h/",
            "https://h/#a",
            "https://h h/",
            "https://h:0/",
            "https://h:99999/",
            "https://h:/",
            "https://[::1]:x/",
            "https://2130706433/",
            "https://127.1/",
            "https://0x7f.1/",
            "https://[fe80::1%25lo]/",
            "https://a..b/",
            "https://-a/",
            "https://h_/\u{e9}",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}

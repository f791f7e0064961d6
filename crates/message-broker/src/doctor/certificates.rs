//! Certificates: the chain, the names in them, and when they end.

use mb_core::{Role, Timestamp};
use mb_crypto::TrustAnchors;

use super::{Finding, Patient};
use crate::layout::{COMPONENTS, read_text};

/// Days before its end from which a certificate is worth a word.
const SOON_DAYS: u64 = 30;

pub(super) fn check(patient: Patient<'_>, now: Timestamp) -> Vec<Finding> {
    let path = patient.layout.ca_certificate();
    if !path.exists() {
        let detail = format!("{} does not exist", path.display());
        return vec![if patient.preflight {
            Finding::ok("certificates", format!("{detail}; the first start of the main server makes it"))
        } else {
            let fix = "start the main server once, or copy certs/ca.crt and this role's pair from its machine";
            Finding::fail("certificates", detail, fix)
        }];
    }
    let anchors = read_text(&path).and_then(|pem| Ok(TrustAnchors::from_pem(&pem)?));
    let anchors = match anchors {
        Ok(anchors) => anchors,
        Err(error) => {
            return vec![Finding::fail(
                "certificates",
                format!("{error:#}"),
                "put the CA's certificate back from a backup",
            )];
        }
    };
    let mut findings: Vec<_> =
        COMPONENTS.into_iter().filter_map(|role| component(patient, role, &anchors, now)).collect();
    findings.extend(names(patient));
    findings
}

/// Whether the main server's certificate names all by which others reach it; `None` where it is not at home.
fn names(patient: Patient<'_>) -> Option<Finding> {
    let (certificate, _) = patient.layout.component(Role::Server.as_str());
    let server = &patient.resolved.config.server;
    let held = mb_crypto::identity::alternative_names(&read_text(&certificate).ok()?).ok()?;
    let reached = host(&server.url).map(str::to_owned);
    let lacking = lacking(&held, reached.into_iter().chain(server.own_names()));
    Some(if lacking.is_empty() {
        Finding::ok("certificate names", format!("the main server's are {}", held.join(", ")))
    } else {
        Finding::warn(
            "certificate names",
            format!(
                "the main server's certificate lacks {}: who reaches it by that does not trust it",
                lacking.join(", ")
            ),
            "add them to server.primary_domain (PRIMARY_DOMAIN) and restart the main server, which renews it",
        )
    })
}

/// The host in `https://HOST[:PORT]`.
fn host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    (!host.is_empty()).then_some(host)
}

fn lacking(held: &[String], wanted: impl Iterator<Item = String>) -> Vec<String> {
    wanted.filter(|name| !held.iter().any(|held| held.eq_ignore_ascii_case(name))).collect()
}

/// What there is to say of a component that has a certificate here.
fn component(patient: Patient<'_>, role: Role, anchors: &TrustAnchors, now: Timestamp) -> Option<Finding> {
    let (certificate, _) = patient.layout.component(role.as_str());
    if !certificate.exists() {
        return None;
    }
    let check = format!("certificate {role}");
    let fix = format!("message-broker ca issue {role}");
    let identity =
        read_text(&certificate).and_then(|pem| Ok(anchors.verify(&mb_crypto::pem::certificates(&pem)?, now)?));
    Some(match identity {
        Err(error) => Finding::fail(check, format!("{error:#}: nobody trusts it"), fix),
        Ok(identity) if identity.role != role => Finding::fail(
            check,
            format!("{} holds a certificate of role {}", certificate.display(), identity.role),
            fix,
        ),
        Ok(identity) => {
            let days = identity.not_after.since(now).as_secs() / 86_400;
            let detail = format!("valid for {days} days, until {}", identity.not_after);
            if days < SOON_DAYS { Finding::warn(check, detail, fix) } else { Finding::ok(check, detail) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_by_which_others_come_and_which_is_not_in_the_certificate_is_told() {
        let held = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for (url, is_named) in [
            ("https://localhost:8000", true),
            ("https://LOCALHOST", true),
            ("https://[::1]:8000/", true),
            ("https://broker.example:8000", false),
        ] {
            let found = lacking(&held, host(url).map(str::to_owned).into_iter());
            assert_eq!(found.is_empty(), is_named, "{url}: {found:?}");
        }
    }
}

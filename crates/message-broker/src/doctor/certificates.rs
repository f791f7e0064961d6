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
    COMPONENTS.into_iter().filter_map(|role| component(patient, role, &anchors, now)).collect()
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

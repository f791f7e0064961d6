//! Mail: whether the links in it lead anywhere for those who get it.

use std::net::IpAddr;

use super::{Finding, Patient};
use crate::config::Config;

pub(super) fn check(patient: Patient<'_>) -> Option<Finding> {
    links(&patient.resolved.config)
}

/// `None` if mail is off.
fn links(config: &Config) -> Option<Finding> {
    if config.mail.host.is_empty() {
        return None;
    }
    let url = config.portal.url(&config.server);
    let told = format!("links in mails begin with {url}");
    Some(if is_local(&url) {
        let fix = "set portal.url (PORTAL_URL), or server.primary_domain (PRIMARY_DOMAIN), and restart the main server";
        Finding::warn("mail", format!("{told}, which is this machine for whoever reads them"), fix)
    } else {
        Finding::ok("mail", told)
    })
}

fn is_local(url: &str) -> bool {
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::config::tests::load;

    #[test]
    fn links_that_lead_to_the_readers_own_machine_are_warned_of() {
        let found = |more: &[(&str, &str)]| {
            let mail = [("SMTP_HOST", "mail.example"), ("SMTP_FROM", "broker@example.com")];
            links(&load("", &[&mail, more].concat()).expect("valid").config).map(|finding| finding.status)
        };
        assert_eq!(found(&[]), Some(Status::Warn));
        assert_eq!(found(&[("PORTAL_URL", "https://[::1]:5000")]), Some(Status::Warn));
        assert_eq!(found(&[("PORTAL_URL", "https://portal.example.com")]), Some(Status::Ok));
        assert_eq!(found(&[("PRIMARY_DOMAIN", "broker.example.com")]), Some(Status::Ok));
        assert_eq!(links(&load("", &[]).expect("valid").config), None, "mail is off");
    }
}

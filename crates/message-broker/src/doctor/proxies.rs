//! The proxies as this machine sees them, as far as the settings name them.

use mb_api::client::{Client, Transport};

use super::{Finding, Patient};
use crate::layout::read_text;

pub(super) async fn check(patient: Patient<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if patient.preflight {
        return findings;
    }
    for url in patient.resolved.config.proxy.urls() {
        let asked = async {
            let ca = read_text(&patient.layout.ca_certificate())?;
            let tls = mb_crypto::tls::client_config(None, &ca, &[])?;
            Ok(Client::new(Transport::mtls(tls, url)?).health().await?)
        };
        findings.push(match asked.await {
            Ok(report) => {
                let detail = format!("{url} is {:?}, version {}", report.status, report.version).to_lowercase();
                Finding::ok("proxy", detail)
            }
            Err::<_, anyhow::Error>(error) => {
                let fix = "start that proxy, or correct proxy.urls (PROXY_URLS)";
                Finding::warn("proxy", format!("{url} does not answer: {error:#}"), fix)
            }
        });
    }
    findings
}

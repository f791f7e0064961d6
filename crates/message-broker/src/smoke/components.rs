//! Whether every component answers: its health, its metrics, and the portal's login page.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mb_api::dto::{HealthReport, HealthStatus};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::{Http1, Target};
use crate::config::Config;
use crate::doctor::Finding;
use crate::layout::{Layout, read_secret, read_text};
use crate::output;

/// The longest that a component may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that is read of a plain answer.
const MOST: u64 = 4 << 20;

/// Where a component answers, and how.
enum Place {
    Tls(String),
    Plain(String),
}

pub(super) async fn check(layout: &Layout, config: &Config) -> Vec<Finding> {
    let tls = match credentials(layout) {
        Ok(tls) => tls,
        Err(error) => {
            let fix = "run this where the main server's certificates are, as the account that may read certs/admin.key";
            return vec![Finding::fail("certificate admin", output::why(&error), fix)];
        }
    };
    let worker = format!("{}:{}", config.worker.host, config.worker.port);
    let components = [
        ("main-server", Place::Tls(config.server.url())),
        ("proxy", Place::Tls(format!("https://localhost:{}", config.proxy.port))),
        ("worker", Place::Plain(worker)),
        ("portal", Place::Tls(format!("https://localhost:{}", config.portal.port))),
    ];
    let mut findings = Vec::new();
    for (name, place) in &components {
        findings.push(health(name, place, &tls).await);
        if config.metrics.enabled {
            findings.push(metrics(name, place, &tls).await);
        }
    }
    findings.push(login_page(&components[3].1, &tls).await);
    findings
}

/// The administrator's certificate: it may read the metrics of every component.
fn credentials(layout: &Layout) -> anyhow::Result<Arc<ClientConfig>> {
    let (certificate, key) = layout.component("admin");
    let (certificate, key) = (read_text(&certificate)?, read_secret(&key)?);
    let ca = read_text(&layout.ca_certificate())?;
    let config = mb_crypto::tls::client_config(Some((&certificate, key.expose())), &ca, &[]);
    Ok(Arc::new(config.context("use certs/admin.crt")?))
}

async fn health(name: &str, place: &Place, tls: &Arc<ClientConfig>) -> Finding {
    let fix = format!("start it: `message-broker service start {name}`; its log says why it ended");
    let report = match ask(place, tls, "/health").await {
        Ok((200 | 503, body)) => serde_json::from_slice::<HealthReport>(&body).context("read its health"),
        Ok((status, _)) => Err(anyhow::anyhow!("its health is answered with {status}")),
        Err(error) => Err(error),
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => return Finding::fail(name, format!("does not answer: {}", output::why(&error)), fix),
    };
    let checks = report.checks.iter().map(|(check, found)| format!("{check}: {found}")).collect::<Vec<_>>().join("; ");
    let detail = format!("version {}, {checks}", report.version);
    match report.status {
        HealthStatus::Healthy => Finding::ok(name, detail),
        HealthStatus::Degraded => Finding::warn(name, detail, "`message-broker doctor` says what to mend"),
        HealthStatus::Unhealthy => Finding::fail(name, detail, "`message-broker doctor` says what to mend"),
    }
}

async fn metrics(name: &str, place: &Place, tls: &Arc<ClientConfig>) -> Finding {
    let check = format!("metrics {name}");
    let fix = "see monitoring/README.md; METRICS_ENABLED=false switches them off";
    match ask(place, tls, "/metrics").await {
        Ok((200, body)) if String::from_utf8_lossy(&body).contains("mb_build_info") => {
            Finding::ok(check, format!("{} bytes", body.len()))
        }
        Ok((status, _)) => Finding::fail(check, format!("answered with {status} and without mb_build_info"), fix),
        Err(error) => Finding::fail(check, output::why(&error), fix),
    }
}

async fn login_page(place: &Place, tls: &Arc<ClientConfig>) -> Finding {
    let fix = "start the portal; `portal.log` says what ails it";
    match ask(place, tls, "/login").await {
        Ok((200, body)) if String::from_utf8_lossy(&body).contains("name=\"password\"") => {
            Finding::ok("login page", "shown, with its form")
        }
        Ok((status, _)) => Finding::fail("login page", format!("answered with {status} and without a form"), fix),
        Err(error) => Finding::fail("login page", output::why(&error), fix),
    }
}

/// Status and body of what is answered to a GET.
async fn ask(place: &Place, tls: &Arc<ClientConfig>, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    match place {
        Place::Tls(url) => {
            let target = Target::find(url).await?;
            let mut connection = Http1::connect(&target, tls, PATIENCE).await?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", target.authority);
            let answer = connection.exchange(request.as_bytes()).await?;
            Ok((answer.status, answer.body.to_vec()))
        }
        Place::Plain(address) => {
            let asked = tokio::time::timeout(PATIENCE, ask_plain(address, path));
            asked.await.context("no answer")?.with_context(|| format!("ask {address}"))
        }
    }
}

/// HTTP/1.0 ends with the connection, so there is nothing to unframe.
async fn ask_plain(address: &str, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { bail!("this is no HTTP") };
    let status = std::str::from_utf8(&answer[..end]).ok().and_then(|head| head.split(' ').nth(1)?.parse().ok());
    Ok((status.context("this is no HTTP")?, answer.split_off(end + 4)))
}

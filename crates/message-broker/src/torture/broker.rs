//! The broker under torture: a child process of this same executable, `up` on a folder and ports of its own.
//!
//! Its environment is cleared, so that no variable of the caller (a `DATABASE_URL`, say) can lead it to anything real.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::bench::{Credentials, Http, Http1, Target};

/// Recovery and the first start's key generation included.
const START_TIMEOUT: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(5);

/// Ports are looked for here: below the range from which Linux and Windows take those of outgoing connections. A client
/// that tries to reach a dead broker could else be given the broker's own port, and keep it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Variables that a process needs to run at all.
const INHERITED: [&str; 10] =
    ["PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SystemRoot", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "USERPROFILE", "LANG"];

/// A broker that can be killed and started again; it dies with this value.
#[derive(Debug)]
pub(super) struct Broker {
    program: PathBuf,
    data_dir: PathBuf,
    log: PathBuf,
    ports: [u16; 4],
    child: Option<Child>,
}

impl Broker {
    /// A broker that keeps its files in `home`; not started yet.
    pub(super) fn new(home: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find own executable")?;
        let (data_dir, log) = (home.join("data"), home.join("up.log"));
        Ok(Self { program, data_dir, log, ports: spare_ports()?, child: None })
    }

    /// Where its proxy listens.
    pub(super) fn target(&self) -> Target {
        Target::local(self.ports[0])
    }

    /// Starts it; it is not ready yet.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log).context("open log")?;
        let mut command = Command::new(&self.program);
        command.arg("--data-dir").arg(&self.data_dir).arg("up");
        command.env_clear().envs(
            std::env::vars_os()
                .filter(|(name, _)| INHERITED.iter().any(|inherited| name.eq_ignore_ascii_case(inherited))),
        );
        for (section, port) in ["PROXY", "SERVER", "WORKER", "PORTAL"].into_iter().zip(self.ports) {
            command
                .env(format!("MB_{section}__HOST"), "127.0.0.1")
                .env(format!("MB_{section}__PORT"), port.to_string());
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().context("open log")?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("start {}", self.program.display()))?);
        Ok(())
    }

    /// Kills it without warning (SIGKILL, `TerminateProcess`) and waits until it is gone.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.check()?;
        if let Some(mut child) = self.child.take() {
            child.kill().context("kill broker")?;
            child.wait().context("wait for broker")?;
        }
        Ok(())
    }

    /// Fails if it ended by itself: nothing but a kill may end it.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        match child.try_wait().context("look at broker")? {
            None => Ok(()),
            Some(status) => bail!("the broker ended by itself, {status}; it last said:\n{}", self.last_words()),
        }
    }

    /// Waits until it is ready; gives client demo's TLS configuration.
    pub(super) async fn ready(&mut self) -> anyhow::Result<Arc<ClientConfig>> {
        let deadline = Instant::now() + START_TIMEOUT;
        let demo = Credentials::given(&self.data_dir, None, None, None);
        let mut last = "its client certificate is not there yet".to_owned();
        while Instant::now() < deadline {
            self.check()?;
            if demo.exist() {
                match self.is_ready(&demo).await {
                    Ok(tls) => return Ok(tls),
                    Err(error) => last = format!("{error:#}"),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the broker is not ready after {START_TIMEOUT:?} ({last}); it last said:\n{}", self.last_words())
    }

    async fn is_ready(&self, demo: &Credentials) -> anyhow::Result<Arc<ClientConfig>> {
        let tls = demo.tls(Http::One)?;
        let target = self.target();
        let mut connection = Http1::connect(&target, &tls, ANSWER).await?;
        let request = format!("GET /health/ready HTTP/1.1\r\nhost: {}\r\n\r\n", target.authority);
        let answer = connection.exchange(request.as_bytes()).await?;
        match answer.status {
            200 => Ok(tls),
            status => bail!("/health/ready answers {status}"),
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(2000)..];
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Its files go away next; there is nobody left to tell.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Four ports that nobody listens on.
fn spare_ports() -> anyhow::Result<[u16; 4]> {
    let start = PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).unwrap_or(0);
    let mut free = (start..PORTS.end).chain(PORTS.start..start).filter_map(|port| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some((port, listener))
    });
    let mut next = || free.next().context("find a spare port");
    let taken = [next()?, next()?, next()?, next()?];
    Ok(taken.map(|(port, _)| port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_ports_are_four_that_can_be_listened_on() {
        let ports = spare_ports().unwrap();
        let open: Vec<TcpListener> =
            ports.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap()).collect();
        assert_eq!(open.len(), 4);
    }
}

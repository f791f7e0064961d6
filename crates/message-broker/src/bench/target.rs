//! Where requests go and as whom: an address, and a client's certificate from the data directory.
//!
//! Everything here works as any client would, from the three PEM files and the URL. Nothing of the broker's own code is
//! used, so that what bench and torture report is what a client sees.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::Uri;
use mb_core::ClientName;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::args::Http;

/// How long one attempt to connect may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A proxy's address, resolved once.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) name: ServerName<'static>,
    /// Host and port as in the URL, for the `Host` header.
    pub(crate) authority: String,
}

impl Target {
    /// Resolves the URL to the first of its addresses that takes a connection.
    pub(crate) async fn find(url: &str) -> anyhow::Result<Self> {
        let (host, port) = parse(url)?;
        let name = ServerName::try_from(host.clone()).with_context(|| format!("{url}: not a host name"))?;
        let found = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((host.as_str(), port)));
        let addresses = found.await.context("resolve host: no answer")?.with_context(|| format!("resolve {host}"))?;
        let mut last = None;
        for address in addresses {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(_)) => return Ok(Self { address, name, authority: authority(&host, port) }),
                Ok(Err(error)) => last = Some(anyhow::Error::from(error)),
                Err(elapsed) => last = Some(elapsed.into()),
            }
        }
        let error = last.unwrap_or_else(|| anyhow::anyhow!("host has no address"));
        Err(error.context(format!("connect to {url} (is it running? `message-broker up` starts it)")))
    }

    /// A listener of this machine, which need not be up yet.
    pub(crate) fn local(port: u16) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            name: ServerName::try_from("localhost").expect("it is a host name"),
            authority: authority("localhost", port),
        }
    }
}

fn parse(url: &str) -> anyhow::Result<(String, u16)> {
    let uri: Uri = url.parse().with_context(|| format!("{url:?} is not a URL"))?;
    if uri.scheme_str() != Some("https") {
        bail!("{url:?}: the proxy speaks https only, e.g. https://localhost:8001");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        bail!("{url:?}: give scheme, host and port only, e.g. https://localhost:8001");
    }
    let host = uri.host().with_context(|| format!("{url:?} has no host"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The files that make a client.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Credentials {
    /// Those given on the command line; what is not given is that of client demo.
    pub(crate) fn given(data_dir: &Path, cert: Option<&Path>, key: Option<&Path>, ca: Option<&Path>) -> Self {
        let demo = ClientName::parse("demo").expect("demo is a name");
        let default = Self::of(data_dir, &demo);
        Self {
            certificate: cert.map_or(default.certificate, Path::to_owned),
            key: key.map_or(default.key, Path::to_owned),
            ca: ca.map_or(default.ca, Path::to_owned),
        }
    }

    /// Those of a client of this data directory (contract, section 7).
    pub(crate) fn of(data_dir: &Path, client: &ClientName) -> Self {
        let certs = data_dir.join("certs");
        let folder = certs.join("clients").join(client.as_str());
        Self {
            certificate: folder.join(format!("{client}.crt")),
            key: folder.join(format!("{client}.key")),
            ca: certs.join("ca.crt"),
        }
    }

    /// The same client, trusting another CA file.
    #[must_use]
    pub(crate) fn trusting(mut self, ca: Option<&Path>) -> Self {
        if let Some(ca) = ca {
            ca.clone_into(&mut self.ca);
        }
        self
    }

    /// Whether certificate and key are there.
    pub(crate) fn exist(&self) -> bool {
        self.certificate.is_file() && self.key.is_file()
    }

    /// Reads the files. A client's TLS session is never resumed: the broker gives out no tickets.
    pub(crate) fn tls(&self, http: Http) -> anyhow::Result<Arc<ClientConfig>> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("read {} (see --cert, --key, --ca)", path.display()))
        };
        let (certificate, key, ca) = (read(&self.certificate)?, read(&self.key)?, read(&self.ca)?);
        let config = mb_crypto::tls::proxy_client_config(Some((&certificate, &key)), &ca, &[http.alpn()])
            .with_context(|| format!("use certificate {}", self.certificate.display()))?;
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_a_port() {
        let good = [
            ("https://localhost:8001", "localhost:8001"),
            ("https://127.0.0.1:8001/", "127.0.0.1:8001"),
            ("https://[::1]:8001", "[::1]:8001"),
            ("https://broker.example", "broker.example:443"),
        ];
        for (url, expected) in good {
            let (host, port) = parse(url).unwrap();
            assert_eq!(authority(&host, port), expected);
        }
        for bad in ["http://localhost:8001", "localhost:8001", "", "https://h:1/api", "https://h:1?x=1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_command_line_does_not_name_is_demos() {
        let given = Credentials::given(Path::new("d"), None, None, Some(Path::new("other.crt")));
        assert_eq!(given.certificate, Path::new("d/certs/clients/demo/demo.crt"));
        assert_eq!(given.key, Path::new("d/certs/clients/demo/demo.key"));
        assert_eq!(given.ca, Path::new("other.crt"));
    }
}

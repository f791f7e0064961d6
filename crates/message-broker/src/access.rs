//! How a command reaches the main server: over its API if it runs, else by opening it in this process.
//!
//! Both ways go through the same routes, so a command has one meaning whether the system runs or not.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mb_api::client::{Client, Transport};
use mb_api::dto::{
    CreateDestination, DestinationQuery, DestinationSettings, GenerateCertificate, GeneratedCertificate,
};
use mb_api::peer::Peer;
use mb_core::{ClientName, Clock, DestinationKind, DestinationName, DomainName, Identity, Role, TopicGlob};
use mb_runtime::metrics::Metrics;
use mb_server::MainServer;
use mb_store::Store;
use tokio_util::sync::CancellationToken;

use crate::bench::{Preparing, Wanted, Wish};
use crate::config::Resolved;
use crate::layout::{KeyPair, Layout, read_secret, read_text};
use crate::lock::{Holder, Purpose, RoleLock};
use crate::{bootstrap, wiring};

/// How long a command waits for a main server that is just starting.
const STARTING: Duration = Duration::from_secs(10);

/// The way to the main server, as an administrator.
#[derive(Debug)]
pub struct Access {
    /// Its API.
    pub client: Client,
    /// Set while this process is the main server.
    here: Option<Here>,
}

#[derive(Debug)]
struct Here {
    server: MainServer,
    store: Store,
    layout: Layout,
    /// Keeps others out.
    _lock: RoleLock,
}

impl Here {
    async fn sign_off(&self) -> Result<()> {
        self.server.sign_off(bootstrap::notary(&self.layout)?).await.context("sign the audit log")
    }
}

impl Access {
    /// Finds the running main server or opens it here.
    ///
    /// # Errors
    /// There is none in the data directory; it runs but cannot be reached; its files cannot be opened.
    pub async fn open(layout: &Layout) -> Result<Self> {
        let resolved = Resolved::of(layout)?;
        if !is_founded(layout, &resolved) {
            bail!(
                "there is no installation in {}: `message-broker up` makes one there, `message-broker ca init` begins one; \
                 for another one give --data-dir or MB_DATA_DIR",
                layout.root().display()
            );
        }
        Self::open_or_found(layout, &resolved).await
    }

    /// The same, and what is not there yet is made: authority, keys, database.
    ///
    /// # Errors
    /// As [`Access::open`].
    pub async fn found(layout: &Layout) -> Result<Self> {
        Self::open_or_found(layout, &Resolved::of(layout)?).await
    }

    /// The main server that runs, here or elsewhere, and no other.
    ///
    /// # Errors
    /// The certificate `admin` is not here.
    pub fn running(layout: &Layout, url: &str) -> Result<Self> {
        let (certificate, key) = layout.component(Role::Admin.as_str());
        let (certificate, key) = (read_text(&certificate)?, read_secret(&key)?);
        let ca = read_text(&layout.ca_certificate())?;
        let tls = mb_crypto::tls::main_server_client_config(
            Some((&certificate, key.expose())),
            &ca,
            &layout.listed_as_revoked(&ca),
        )
        .context("read certs/admin.crt")?;
        let transport = Transport::mtls(tls, url).context("connect to the main server")?;
        Ok(Self { client: Client::new(transport), here: None })
    }

    async fn open_or_found(layout: &Layout, resolved: &Resolved) -> Result<Self> {
        layout.create()?;
        let give_up = tokio::time::Instant::now() + STARTING;
        loop {
            match RoleLock::try_take(layout, "main-server", Purpose::Command)? {
                Ok(lock) => return Box::pin(Self::in_process(layout, resolved, lock)).await,
                Err(Some(Holder { url: Some(url), .. })) => return Self::running(layout, &url),
                Err(_) if tokio::time::Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(_) => bail!("another process holds the data directory and does not answer"),
            }
        }
    }

    /// Whether the system runs: what needs a worker is of no use otherwise.
    pub const fn is_running(&self) -> bool {
        self.here.is_none()
    }

    /// Writes the revocation list anew, if this process is the main server; a running one does so itself.
    ///
    /// # Errors
    /// The store cannot be read, the file cannot be written.
    pub async fn publish_revocations(&self, layout: &Layout) -> Result<()> {
        match &self.here {
            Some(here) => bootstrap::write_crl(layout, here.server.authority()).await,
            None => Ok(()),
        }
    }

    /// Chains and signs what was recorded, and closes the store, if it was opened here.
    pub async fn close(self) {
        if let Some(here) = self.here {
            // The command is done by now; what could not be signed is signed by whoever opens the store next.
            if let Err(error) = here.sign_off().await {
                tracing::warn!(error = format!("{error:#}"), "audit log not signed");
            }
            here.store.close().await;
        }
    }

    async fn in_process(layout: &Layout, resolved: &Resolved, lock: RoleLock) -> Result<Self> {
        let clock = Clock::System;
        let mut metrics = Metrics::default();
        let (server, store) =
            bootstrap::main_server(layout, resolved, &clock, &mut metrics, CancellationToken::new()).await?;
        bootstrap::component_certificates(layout, &resolved.config, server.authority(), &store, &clock).await?;
        let peer = Peer::in_process(component_identity(layout, Role::Admin)?);
        let app = wiring::in_process_service(server.router(), resolved.config.server.in_flight, &mut metrics);
        let client = Client::new(Transport::in_process(app, peer));
        Ok(Self { client, here: Some(Here { server, store, layout: layout.clone(), _lock: lock }) })
    }
}

/// Whether somebody has begun an installation here. A directory that was mistyped holds none, and a command that made one
/// there would show an empty system as if it were the one that was meant.
fn is_founded(layout: &Layout, resolved: &Resolved) -> bool {
    let config = &resolved.config;
    !config.store.is_embedded()
        || config.store_path(layout.root()).exists()
        || layout.ca_certificate().exists()
        || [".env", "message-broker.toml"].iter().any(|name| layout.root().join(name).exists())
}

/// Whom a component's certificate on disk names.
///
/// # Errors
/// The file cannot be read.
pub fn component_identity(layout: &Layout, role: Role) -> Result<Arc<Identity>> {
    let (certificate, _) = layout.component(role.as_str());
    let chain = mb_crypto::pem::certificates(&read_text(&certificate)?)?;
    let leaf = chain.first().context("certs: no certificate in the file")?;
    Ok(Arc::new(mb_crypto::identity::from_der(leaf).with_context(|| format!("read {}", certificate.display()))?))
}

/// Writes a generated certificate to where its role's files belong.
///
/// # Errors
/// A file cannot be written.
pub fn keep(layout: &Layout, name: &str, role: Role, generated: &GeneratedCertificate) -> Result<std::path::PathBuf> {
    layout.write(&KeyPair {
        name,
        role,
        certificate: &generated.certificate,
        private_key: generated.private_key.secret(),
        ca_certificate: &generated.ca_certificate,
        fingerprint: &generated.fingerprint,
    })
}

/// What `bench` needs of the main server: certificates for clients that lack them, and destinations.
pub fn preparing(layout: &Layout) -> Preparing {
    let (to_issue, to_make) = (layout.clone(), layout.clone());
    Preparing {
        issue: Box::new(move |names| Box::pin(async move { issue_clients(&to_issue, names).await })),
        destinations: Box::new(move |wish| {
            let layout = to_make.clone();
            Box::pin(async move { destinations(&layout, wish).await })
        }),
    }
}

async fn destinations(layout: &Layout, wish: Wish) -> Result<()> {
    let access = Access::open(layout).await?;
    let done = match &wish {
        Wish::Make(wanted) => make_destinations(&access.client, wanted).await,
        Wish::Remove(wanted) => remove_destinations(&access.client, wanted).await,
    };
    access.close().await;
    done
}

/// Those of an earlier run that ended too soon go first: what waits for them and how they fared is of that run.
async fn make_destinations(client: &Client, wanted: &[Wanted]) -> Result<()> {
    remove_destinations(client, wanted).await?;
    for Wanted { name, topic, url } in wanted {
        let settings = DestinationSettings {
            url: Some(url.clone()),
            topics: Some(vec![TopicGlob::parse(topic).context("a valid topic")?]),
            ..DestinationSettings::default()
        };
        let ask = CreateDestination {
            name: DestinationName::parse(name).context("a valid name")?,
            domain: DomainName::default(),
            kind: DestinationKind::Webhook,
            settings,
        };
        client.create_destination(&ask).await.with_context(|| format!("make {name}"))?;
    }
    Ok(())
}

async fn remove_destinations(client: &Client, wanted: &[Wanted]) -> Result<()> {
    let names = wanted.iter().map(|wanted| wanted.name.as_str()).collect::<HashSet<_>>();
    let mut query = DestinationQuery { limit: Some(250), ..DestinationQuery::default() };
    loop {
        let page = client.destinations(&query).await.context("list destinations")?;
        for row in page.data.iter().filter(|row| names.contains(row.name.as_str())) {
            client.delete_destination(row.id).await.with_context(|| format!("remove {}", row.name))?;
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok(());
        }
    }
}

async fn issue_clients(layout: &Layout, names: Vec<String>) -> Result<()> {
    let access = Access::open(layout).await?;
    let issued = issue_with(&access, layout, names).await;
    access.close().await;
    issued
}

async fn issue_with(access: &Access, layout: &Layout, names: Vec<String>) -> Result<()> {
    for name in names {
        let ask = GenerateCertificate {
            client_id: ClientName::parse(&name).context("a valid client name")?,
            domain: None,
            validity_days: None,
            role: Some(Role::Client),
            alt_names: Vec::new(),
            pkcs12: false,
        };
        let generated = access.client.generate_certificate(&ask).await.with_context(|| format!("issue {name}"))?;
        keep(layout, &name, Role::Client, &generated)?;
    }
    Ok(())
}

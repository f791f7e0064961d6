//! What must exist before anything starts: CA, keys, database, component certificates, a first admin and a client.
//!
//! Every step looks for what is there and makes only what is missing, so a start that was killed in the middle is simply
//! repeated. A CA that certified anything, and a key that sealed anything, are never replaced: without them the start
//! ends with an error.

pub(crate) mod backup;
mod certificates;
mod crl;
mod mail;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mb_core::{Clock, Role, Secret};
use mb_crypto::ca::Ca;
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKeys;
use mb_runtime::metrics::Metrics;
use mb_server::{Authorities, MainServer, Notary, Parts, PeopleConfig};
use mb_store::{CertificateFilter, Instance, NewUser, Store, UserRole};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Resolved};
use crate::installation;
use crate::layout::{Layout, read_secret, read_text};

pub(crate) use certificates::host_name;
pub use certificates::{DEMO, component_certificates, demo_client};
pub use crl::{keep_crl, refresh_crl, take_in, write_crl};

/// Who is named in audit rows for what the first start makes.
const ACTOR: &str = "system:first-start";

/// The authorities on disk; `None` if their certificates are missing.
///
/// # Errors
/// The key is missing, a file cannot be read, or the key belongs to no certificate.
pub(crate) fn present_authorities(layout: &Layout) -> Result<Option<Authorities>> {
    let (certificate, key) = (layout.ca_certificate(), layout.ca_key());
    if !certificate.exists() {
        return Ok(None);
    }
    if !key.exists() {
        bail!(
            "{} is there without its key {}: put the key back; a new CA would cut off every client",
            certificate.display(),
            key.display()
        );
    }
    let bundle = read_text(&certificate)?;
    let issuing = Ca::load(&bundle, read_secret(&key)?.expose());
    let issuing = issuing.with_context(|| format!("read {}", certificate.display()))?;
    let previous = previous_ca(layout, &bundle, &issuing)?;
    Ok(Some(Authorities { issuing, previous, retired: layout.read_retired_cas()? }))
}

/// The CA before. A key that is left over once its certificate is trusted no more is no fault, and no use.
fn previous_ca(layout: &Layout, bundle: &str, issuing: &Ca) -> Result<Option<Ca>> {
    let path = layout.previous_ca_key();
    if !path.exists() {
        return Ok(None);
    }
    match Ca::load(bundle, read_secret(&path)?.expose()) {
        Ok(previous) => Ok(Some(previous).filter(|previous| previous.issuer_id() != issuing.issuer_id())),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the key signs no revocation list");
            Ok(None)
        }
    }
}

async fn new_ca(layout: &Layout, store: &Store, clock: &Clock) -> Result<Ca> {
    let (certificate, key) = (layout.ca_certificate(), layout.ca_key());
    if layout.holds_issued()? || holds_certificates(store).await? || holds_sealed(store).await? {
        bail!(
            "{} is missing: put it and {} back; a new CA would cut off every client and component",
            certificate.display(),
            key.display()
        );
    }
    let ca = Ca::create("message-broker CA", clock.now()).context("make the CA")?;
    // The key first: a crash in between leaves a key that certified nothing, and the next start makes both anew.
    mb_crypto::files::write_private(&key, ca.private_key_pem().expose().as_bytes()).context("write ca.key")?;
    mb_crypto::files::write_public(&certificate, ca.certificate_pem().as_bytes()).context("write ca.crt")?;
    Ok(ca)
}

/// The master keys on disk; `None` if the active one is missing.
///
/// # Errors
/// A file cannot be read, or others can.
pub fn present_master_keys(layout: &Layout, config: &Config) -> Result<Option<MasterKeys>> {
    let path = config.encryption_key(layout.root());
    MasterKeys::open(&path).with_context(|| format!("read {}", path.display()))
}

async fn new_master_key(layout: &Layout, config: &Config, store: &Store) -> Result<MasterKeys> {
    let path = config.encryption_key(layout.root());
    if holds_sealed(store).await? {
        bail!("{} is missing: put back the key that the database was sealed under", path.display());
    }
    MasterKeys::create(&path).context("make the encryption key")
}

/// `JWT_SECRET`, or the one on disk, made if there is none: losing it costs a refresh, nothing more.
fn jwt_secret(layout: &Layout, resolved: &Resolved) -> Result<JwtSecret> {
    if let Some(text) = resolved.secret("JWT_SECRET")? {
        return JwtSecret::from_text(text.expose()).context("read JWT_SECRET");
    }
    let path = layout.jwt_key();
    if path.exists() {
        return JwtSecret::from_text(read_secret(&path)?.expose()).with_context(|| format!("read {}", path.display()));
    }
    let secret = JwtSecret::generate();
    mb_crypto::files::write_private(&path, secret.to_text().expose().as_bytes()).context("write jwt.key")?;
    Ok(secret)
}

/// Whether anything in the store can be read only with the master key.
async fn holds_sealed(store: &Store) -> Result<bool> {
    let search_key = store.setting("search_key").await.context("read the search key")?;
    let data_keys = store.newest_data_keys(1).await.context("look for data keys")?;
    Ok(search_key.is_some() || !data_keys.is_empty())
}

async fn holds_certificates(store: &Store) -> Result<bool> {
    let rows = store.certificates(&CertificateFilter::default()).await.context("look for certificates")?;
    Ok(!rows.is_empty())
}

/// Opens the store, without migrating it.
///
/// # Errors
/// The database cannot be reached, or the file is none.
pub async fn open_store(layout: &Layout, config: &Config, clock: &Clock) -> Result<Store> {
    if !config.store.is_embedded() {
        return Store::open(&config.store.url, clock.clone()).await.context("open the database");
    }
    let path = config.store_path(layout.root());
    let url = format!("sqlite://{}", path.display());
    Store::open(&url, clock.clone()).await.with_context(|| format!("open the database {}", path.display()))
}

/// Looks whether the database server keeps what it has answered: in production one that does not is refused.
async fn refuse_forgetful(store: &Store, config: &Config) -> Result<()> {
    let report = store.server_report().await.context("ask the database server for its settings")?;
    let Some(Err(reason)) = report.map(|report| report.is_durable()) else { return Ok(()) };
    if config.is_production() && !config.store.allow_forgetful {
        bail!(
            "the database's {reason}: a power failure of its machine loses messages that proxies were told are stored. Set \
             innodb_flush_log_at_trx_commit = 1 and sync_binlog = 1 (deployment/config/mysql.cnf), or set \
             store.allow_forgetful = true"
        );
    }
    tracing::warn!(reason, "the database may lose what it has answered when its machine loses power");
    Ok(())
}

/// A restore that was broken off has left a part of the rows.
async fn refuse_half_restored(store: &Store) -> Result<()> {
    if store.is_half_restored().await.context("look whether the database is whole")? {
        bail!("the database is half restored: repeat `message-broker backup restore PATH --yes` to its end");
    }
    Ok(())
}

/// Opens the main server on its files, making what is missing.
///
/// # Errors
/// The CA or the master key is missing though something depends on it, a file cannot be read or written, the database
/// is from a newer version.
pub async fn main_server(
    layout: &Layout,
    resolved: &Resolved,
    clock: &Clock,
    metrics: &mut Metrics,
    stopping: CancellationToken,
) -> Result<(MainServer, Store)> {
    // What is there is read before anything is changed.
    let (authorities, master) = (present_authorities(layout)?, present_master_keys(layout, &resolved.config)?);
    let jwt = jwt_secret(layout, resolved)?;
    let store = open_store(layout, &resolved.config, clock).await?;
    refuse_forgetful(&store, &resolved.config).await?;
    store.migrate().await.context("migrate the database")?;
    refuse_half_restored(&store).await?;
    let authorities = match authorities {
        Some(authorities) => authorities,
        None => new_ca(layout, &store, clock).await?.into(),
    };
    let master = match master {
        Some(master) => master,
        None => new_master_key(layout, &resolved.config, &store).await?,
    };
    // Before a policy is made of what the store knows.
    crl::take_in(layout, authorities.issuing.certificate_pem(), &store).await?;
    let instance = Instance::from(format!("main-server-{}", host_name().unwrap_or_default()));
    let own_names = resolved.config.server.own_names().into_iter().chain(host_name()).collect();
    let people = PeopleConfig { portal_url: resolved.config.portal.url(&resolved.config.server) };
    let mail = mail::settings(layout, resolved)?;
    let parts = Parts {
        store: store.clone(),
        authorities,
        master,
        audit_head: Some(layout.audit_head()),
        jwt,
        own_names,
        people,
        retry: resolved.config.delivery.schedule()?,
        mail,
        installation: installation::describe(layout, resolved),
        backup: backup::settings(layout, resolved),
        clock: clock.clone(),
        instance,
        reporter: mb_crypto::files::kept_id(&layout.server_id()).context("read the main server's id")?,
        lease: Duration::from_secs(resolved.config.server.lease),
        proxies: resolved.config.proxy.reached_at(),
        stopping,
    };
    let server = MainServer::open(parts, metrics).await.context("open the main server")?;
    refresh_crl(layout, server.authority(), clock).await?;
    Ok((server, store))
}

/// The main server's certificate signs the audit log's checkpoints.
///
/// # Errors
/// Its files cannot be read.
pub fn notary(layout: &Layout) -> Result<Notary> {
    let (chain, key) = layout.component(Role::Server.as_str());
    Notary::from_pem(&read_text(&chain)?, &read_secret(&key)?).context("read certs/server.crt")
}

/// A first admin that was just made.
#[derive(Debug)]
pub struct FirstAdmin {
    /// E-mail address.
    pub email: String,
    /// The password, if it was generated and must be shown once.
    pub generated: Option<Secret<String>>,
}

/// A first admin that is ready to be stored. Storing is a step of its own, for the moment before the password is shown:
/// a start that ends before that leaves no account whose password nobody knows.
#[derive(Debug)]
pub struct PreparedAdmin {
    admin: FirstAdmin,
    hash: String,
}

/// Prepares the first admin, if there is none.
///
/// # Errors
/// The password breaks the rules, the store cannot be read.
pub async fn first_admin(
    store: &Store,
    email: Option<String>,
    password: Option<Secret<String>>,
) -> Result<Option<PreparedAdmin>> {
    if store.count_admins().await.context("count admins")? > 0 {
        return Ok(None);
    }
    let email = email.unwrap_or_else(|| "admin@localhost".to_owned()).to_lowercase();
    let generated = password.is_none().then(mb_crypto::password::generate_password);
    let Some(password) = password.or_else(|| generated.clone()) else { return Ok(None) };
    mb_crypto::password::check_rule(password.expose()).context("ADMIN_PASSWORD")?;
    let hash = tokio::task::spawn_blocking(move || mb_crypto::password::hash(password.expose()))
        .await
        .context("hash the password")??;
    Ok(Some(PreparedAdmin { admin: FirstAdmin { email, generated }, hash }))
}

impl PreparedAdmin {
    /// Stores the admin.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn store(self, store: &Store) -> Result<FirstAdmin> {
        let email = self.admin.email.clone();
        let user = NewUser {
            email,
            password_hash: self.hash,
            role: UserRole::Admin,
            client: None,
            may_send: false,
            expires_at: None,
        };
        store.insert_user(&user, ACTOR).await.context("store the first admin")?;
        Ok(self.admin)
    }
}

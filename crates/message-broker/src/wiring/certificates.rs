//! A role's certificate while it runs: files that change are taken up, and what nears its end is renewed.
//!
//! The files are the one place: whoever renews writes them, and this notices, whether it was an operator, the main server
//! on the same machine or this very task. Open connections go on. A pair that cannot be used changes nothing: the last
//! good one stays in use, the log and health say so, and it is tried again, at once when it changes.

mod expiry;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use mb_api::client::{Client, NewIdentity};
use mb_api::peer::Peer;
use mb_core::{Clock, Identity, Role};
use mb_crypto::ca::{BACKDATED, SigningRequest};
use mb_crypto::data_key::Signer;
use mb_crypto::tls::{ReloadableServerConfig, RevokedSet};
use mb_proxy::Proxy;
use mb_runtime::{Criticality, PolicyWatch};
use mb_server::{Authorities, MainServer, Notary};
use tokio::time::Instant;

use super::{Link, Wiring};
use crate::layout::{KeyPair, Layout, check_file, read_secret, read_text};

pub(super) use expiry::{Expiry, Life, Lives, expiry, expiry_beside_ca};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A disk that does not answer for so long is complained about.
const DISK: Duration = Duration::from_secs(10);

/// Files that could not be used are tried again after this, though they have not changed.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// A failed renewal is tried again after this, or a twelfth of the certificate's life if that is shorter.
const RETRY: Duration = Duration::from_mins(10);

/// What uses a role's certificate.
#[derive(Debug, Default)]
pub(super) struct Users {
    pub(super) tls: Option<Arc<ReloadableServerConfig>>,
    pub(super) client: Option<Client>,
    pub(super) proxy: Option<Proxy>,
    pub(super) server: Option<MainServer>,
    pub(super) expiry: Option<Expiry>,
    /// Says which main servers are good no more.
    pub(super) policy: Option<PolicyWatch>,
    /// Follows that policy, where `client` does not.
    pub(super) follower: Option<Client>,
}

/// A pair of files that is shown to the public in the place of the component's own.
#[derive(Clone, Debug)]
pub(super) struct OwnPair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Wiring<'_> {
    /// Keeps the certificate of `role` current for its `users`. `link` is its way to a main server that may renew it.
    pub(super) fn keep_certificate(&self, role: Role, link: Option<&Link>, users: Users) {
        let renews = matches!(link, Some(Link::Remote)).then(|| users.client.clone()).flatten();
        let own = self.own_pair(role);
        let (layout, clock, revoked) = (self.layout.clone(), self.clock.clone(), self.revoked.clone());
        let keeper = Keeper { layout, clock, role, own, users, renews, revoked };
        let soft = self.lifecycle.soft();
        self.lifecycle.spawn("certificate", Criticality::Critical, async move {
            soft.run_until_cancelled(Box::pin(Arc::new(keeper).run())).await;
        });
    }
}

struct Keeper {
    layout: Layout,
    clock: Clock,
    role: Role,
    /// What its listener shows, if that is not the component's certificate.
    own: Option<OwnPair>,
    users: Users,
    /// Who renews; `None` where the main server of this process does.
    renews: Option<Client>,
    /// Which main servers it does not call.
    revoked: RevokedSet,
}

/// A pair that can be used.
struct Pair {
    identity: Identity,
    public: Option<Life>,
    tls: rustls::ServerConfig,
    client: rustls::ClientConfig,
    signer: Option<Signer>,
    notary: Option<Notary>,
    authorities: Option<Authorities>,
}

/// When each file was last changed.
type Seen = Vec<Option<SystemTime>>;

impl Keeper {
    async fn run(self: Arc<Self>) {
        let mut taken_up = self.aside(Self::seen).await;
        let mut last_seen = taken_up.clone();
        let mut held = self.aside(Self::load).await.ok();
        if let Some(pair) = &held {
            self.show(pair);
        }
        let mut failed: Option<(Seen, Instant)> = None;
        let mut not_before = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            if self.revoked_changed() {
                // Connections to whoever is revoked now are not used again.
                held = self.take_up(true).await.or(held);
            }
            let now_seen = self.aside(Self::seen).await;
            // Files that still change are looked at again: a pair is written one file after the other.
            let settled = last_seen == now_seen;
            last_seen.clone_from(&now_seen);
            let is_new = failed.as_ref().is_none_or(|(seen, _)| *seen != now_seen);
            // What is not valid yet, or has lost its way to the disk, may be good later as it is.
            let again = failed.as_ref().is_some_and(|(_, at)| at.elapsed() >= TRY_AGAIN);
            if settled && now_seen != taken_up && (is_new || again) {
                match self.take_up(is_new).await {
                    Some(pair) => (held, taken_up, failed) = (Some(pair), now_seen, None),
                    None => failed = Some((now_seen, Instant::now())),
                }
            } else if settled
                && now_seen == taken_up
                && failed.take().is_some()
                && let Some(pair) = &held
            {
                self.show(pair);
            }
            let due = held.as_ref().map(|pair| renewal_due(&pair.identity, &self.clock));
            if due == Some(true) && self.renews.is_some() && Instant::now() >= not_before {
                let life = held.as_ref().map_or(RETRY, |pair| pair.identity.not_after.since(pair.identity.not_before));
                not_before = Instant::now() + RETRY.min(life / 12);
                if let Err(error) = self.renew().await {
                    tracing::warn!(role = %self.role, error = format!("{error:#}"), "certificate not renewed");
                }
            }
        }
    }

    /// Takes over whom the policy names as revoked; whether that are others than before.
    fn revoked_changed(&self) -> bool {
        let policy = self.users.policy.as_ref().and_then(PolicyWatch::current);
        policy.is_some_and(|policy| self.revoked.replace(policy.revoked.clone()))
    }

    /// Reads files where nobody waits for a disk. A disk that does not answer is complained about and waited for: there is
    /// never more than one thread that it holds.
    async fn aside<T: Send + 'static>(self: &Arc<Self>, read: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let keeper = Arc::clone(self);
        let mut reading = tokio::task::spawn_blocking(move || read(&keeper));
        loop {
            match tokio::time::timeout(DISK, &mut reading).await {
                Ok(Ok(read)) => return read,
                Ok(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                Err(_) => {
                    let waited = DISK.as_secs();
                    mb_runtime::logging::limited("certificate files", || {
                        tracing::error!(role = %self.role, waited, "certificate files are not read: no answer of the disk");
                    });
                    self.users.expiry.iter().for_each(Expiry::complain);
                }
            }
        }
    }

    /// Uses the files as they are now; `None` if they cannot be used, which is said of `new` ones.
    async fn take_up(self: &Arc<Self>, new: bool) -> Option<Pair> {
        match self.aside(Self::load).await {
            Ok(mut pair) => {
                self.hand_out(&mut pair).await;
                tracing::info!(role = %self.role, expires_at = %pair.identity.not_after, "certificate taken up");
                Some(pair)
            }
            Err(error) => {
                if new {
                    let error = format!("{error:#}");
                    tracing::error!(role = %self.role, error, "certificate files cannot be used, the last good ones stay");
                }
                self.users.expiry.iter().for_each(Expiry::complain);
                None
            }
        }
    }

    async fn hand_out(&self, pair: &mut Pair) {
        if let Some(tls) = &self.users.tls {
            tls.replace(pair.tls.clone());
        }
        for client in self.users.client.iter().chain(&self.users.follower) {
            let peer = Peer::in_process(Arc::new(pair.identity.clone()));
            client.adopt(NewIdentity { peer, tls: pair.client.clone() });
        }
        if let Some((proxy, signer)) = self.users.proxy.as_ref().zip(pair.signer.take()) {
            proxy.adopt(signer);
        }
        if let Some((server, notary)) = self.users.server.as_ref().zip(pair.notary.take()) {
            server.adopt(notary);
        }
        if let Some((server, ca)) = self.users.server.as_ref().zip(pair.authorities.take()) {
            match server.adopt_ca(ca).await {
                Ok(false) => {}
                Ok(true) => tracing::info!("certificate authority changed"),
                Err(error) => tracing::error!(%error, "certificate authority not changed"),
            }
            // Another authority may sign a list from now on.
            if let Err(error) = crate::bootstrap::write_crl(&self.layout, server.authority()).await {
                tracing::warn!(error = format!("{error:#}"), "crl.pem not written");
            }
        }
        self.show(pair);
    }

    fn show(&self, pair: &Pair) {
        if let Some(expiry) = &self.users.expiry {
            expiry.show(pair);
        }
    }

    fn load(&self) -> Result<Pair> {
        self.paths().iter().try_for_each(|path| check_file(path))?;
        let (certificate, key_file) = self.layout.component(self.role.as_str());
        let (chain, key) = (read_text(&certificate)?, read_secret(&key_file)?);
        mb_crypto::pem::private_key(key.expose()).with_context(|| format!("read {}", key_file.display()))?;
        let ca = read_text(&self.layout.ca_certificate())?;
        let anchors = mb_crypto::TrustAnchors::from_pem(&ca).context("read ca.crt")?;
        let identity = anchors
            .verify(&mb_crypto::pem::certificates(&chain)?, self.clock.now())
            .with_context(|| format!("read {}", certificate.display()))?;
        anyhow::ensure!(identity.role == self.role, "{} is of role {}", certificate.display(), identity.role);
        let signer = (self.role == Role::Proxy).then(|| Signer::from_pem(&chain, key.expose())).transpose()?;
        let notary = (self.role == Role::Server).then(|| Notary::from_pem(&chain, &key)).transpose()?;
        let authorities =
            if self.role == Role::Server { crate::bootstrap::present_authorities(&self.layout)? } else { None };
        let (tls, public) = if let Some(own) = &self.own {
            (own.server_config(&ca)?, Some(own.life()?))
        } else {
            let tls = mb_crypto::tls::server_config(&chain, key.expose(), &ca);
            (tls.with_context(|| format!("read {}", certificate.display()))?, None)
        };
        Ok(Pair {
            tls,
            public,
            client: mb_crypto::tls::main_server_client_config(Some((&chain, key.expose())), &ca, &self.revoked)?,
            identity,
            signer,
            notary,
            authorities,
        })
    }

    /// Gets a certificate for a new key over the one in use and writes both; the next look takes them up.
    async fn renew(&self) -> Result<()> {
        let Some(client) = &self.renews else { return Ok(()) };
        let name = self.role.as_str();
        let (key, request) = SigningRequest::create(name).context("make a signing request")?;
        let certificate = client.renew_certificate(request).await.context("ask the main server")?;
        let chain = mb_crypto::pem::certificates(&certificate).context("read its answer")?;
        let fingerprint = chain.first().map(|leaf| mb_crypto::identity::fingerprint(leaf)).unwrap_or_default();
        let ca_certificate = &read_text(&self.layout.ca_certificate())?;
        let certificate = &certificate;
        let pair = KeyPair {
            name,
            role: self.role,
            certificate,
            private_key: &key,
            ca_certificate,
            fingerprint: &fingerprint,
        };
        self.layout.write(&pair)?;
        tracing::info!(role = %self.role, "certificate renewed");
        Ok(())
    }

    fn seen(&self) -> Seen {
        self.paths().iter().map(|path| modified(path)).collect()
    }

    fn paths(&self) -> Vec<PathBuf> {
        let (certificate, key) = self.layout.component(self.role.as_str());
        let mut paths = vec![certificate, key, self.layout.ca_certificate()];
        if self.role == Role::Server {
            paths.extend([self.layout.ca_key(), self.layout.previous_ca_key(), self.layout.retired_cas()]);
        }
        paths.extend(self.own.iter().flat_map(|own| [own.certificate.clone(), own.key.clone()]));
        paths
    }
}

impl OwnPair {
    pub(super) fn server_config(&self, ca: &str) -> Result<rustls::ServerConfig> {
        let (chain, key) = (read_text(&self.certificate)?, read_secret(&self.key)?);
        mb_crypto::tls::server_config(&chain, key.expose(), ca)
            .with_context(|| format!("read {}", self.certificate.display()))
    }

    fn life(&self) -> Result<Life> {
        let chain = mb_crypto::pem::certificates(&read_text(&self.certificate)?)?;
        let leaf = chain.first().context("no certificate in the file")?;
        mb_crypto::identity::life(leaf).with_context(|| format!("read {}", self.certificate.display()))
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Whether two thirds of its life are over.
pub(crate) fn renewal_due(identity: &Identity, clock: &Clock) -> bool {
    let issued_at = identity.not_before.plus(BACKDATED);
    let life = identity.not_after.since(issued_at);
    clock.now().since(issued_at) >= life * 2 / 3
}

#[cfg(test)]
mod tests {
    use mb_core::Timestamp;

    use super::*;

    #[test]
    fn renewal_is_due_at_two_thirds_of_the_life_since_it_was_issued() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let identity = Identity {
            name: "proxy".into(),
            role: Role::Proxy,
            domain: None,
            issuer: [0; 16],
            serial: vec![1],
            fingerprint: String::new(),
            not_before: at(1_000_000).minus(BACKDATED),
            not_after: at(1_000_900),
        };
        assert!(!renewal_due(&identity, &Clock::manual(at(1_000_599))));
        assert!(renewal_due(&identity, &Clock::manual(at(1_000_600))));
    }
}

//! The policy that proxies follow: built from the store, handed out by long poll.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mb_api::dto::PolicyQuery;
use mb_core::policy::{CertificateRef, MasterPublicKey, RateLimits};
use mb_core::{Identity, JournalBacklog, JournalFaults, Policy, Timestamp, hex};
use mb_crypto::master::MasterKeys;
use mb_store::{Heartbeat, SeenProxy, Store, StoreError};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use crate::notices::journals;

/// A proxy that has not asked for so long is not waited for: it is away, or asks another main server.
pub(crate) const FOLLOWS: Duration = Duration::from_mins(1);
/// The longest wait for proxies to adopt a policy; the change itself does not depend on it.
const ADOPTION: Duration = Duration::from_secs(2);

/// How long proxies that ask other main servers are waited for after that, and how often they are looked for.
const ELSEWHERE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(200));
/// A proxy that was not heard of for so long is told of no more: as a rule it is gone for good.
const GONE: Duration = Duration::from_hours(24);

/// Proxies that may not know the newest policy, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Behind {
    /// They are heard of, and hold an older one.
    pub(crate) live: Vec<String>,
    /// They are not heard of.
    pub(crate) silent: Vec<String>,
}

/// Holds the newest policy and tells everyone who waits for the next.
#[derive(Debug)]
pub(crate) struct PolicyFeed {
    sender: watch::Sender<Arc<Policy>>,
    revoked_proxies: ArcSwap<BTreeSet<CertificateRef>>,
    /// Held from the reading of a policy to its sending: of two refreshes the later one is read later.
    refreshing: Mutex<()>,
    /// The newest question that each proxy has asked here, by [`id`].
    followers: watch::Sender<HashMap<String, Follower>>,
    /// Proxies that ask any main server of this store, as of the last look into it.
    known: AtomicU32,
    /// The newest version that a proxy was heard to hold.
    newest_held: AtomicU64,
    ca_pem: ArcSwap<String>,
    master: Arc<MasterKeys>,
}

impl PolicyFeed {
    pub(crate) async fn open(store: &Store, ca_pem: String, master: Arc<MasterKeys>) -> Result<Self, StoreError> {
        let (first, revoked_proxies) = build(store, &ca_pem, master.public()).await?;
        Ok(Self {
            sender: watch::Sender::new(Arc::new(first)),
            revoked_proxies: ArcSwap::from_pointee(revoked_proxies),
            refreshing: Mutex::new(()),
            followers: watch::Sender::new(HashMap::new()),
            known: AtomicU32::new(0),
            newest_held: AtomicU64::new(0),
            ca_pem: ArcSwap::from_pointee(ca_pem),
            master,
        })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Policy>> {
        self.sender.subscribe()
    }

    pub(crate) fn current(&self) -> Arc<Policy> {
        Arc::clone(&self.sender.borrow())
    }

    /// Whether what this proxy signed is in doubt. The policy forgets a revoked certificate once it has expired, for it
    /// opens no connection any more; a key that was signed under it remains.
    pub(crate) fn is_revoked_proxy(&self, signer: &Identity) -> bool {
        let revoked = self.revoked_proxies.load();
        !revoked.is_empty()
            && revoked.contains(&CertificateRef { issuer: signer.issuer, serial: signer.serial.clone() })
    }

    /// Notes that a proxy asks, which it does with the version that it has adopted.
    pub(crate) fn asked(&self, proxy: &Arc<Identity>, query: PolicyQuery, now: Timestamp) {
        let follower = Follower {
            identity: Arc::clone(proxy),
            since: query.since,
            clock_ahead_ms: query.now.map(|theirs| theirs.saturating_sub(now.micros()) / 1000),
            faults: query.faults().unwrap_or_default(),
            backlog: query.backlog(),
            at: Instant::now(),
            noted: false,
        };
        self.newest_held.fetch_max(query.knew.max(query.since).unwrap_or(0), Ordering::Relaxed);
        self.followers.send_modify(|followers| {
            followers.retain(|_, follower| follower.at.elapsed() < FOLLOWS);
            followers.insert(id(proxy, query.instance), follower);
        });
        self.count_proxies();
    }

    /// Whether a proxy has held a newer policy than the store knows of: an older copy of the database was put in its place
    /// and given no new epoch, which leaves all versions behind that were ever handed out.
    pub(crate) fn is_behind(&self) -> bool {
        self.newest_held.load(Ordering::Relaxed) > self.current().version
    }

    /// Tells the proxies how many they are, if that is another number than before: they share the limits of clients.
    fn count_proxies(&self) {
        let live = self.live_proxies();
        self.sender.send_if_modified(|held| {
            let changed = held.limits.proxies != live;
            if changed {
                Arc::make_mut(held).limits.proxies = live;
            }
            changed
        });
    }

    /// Those of the store are all of them, but one that has just begun to ask here is counted at once.
    fn live_proxies(&self) -> u32 {
        let here = self.followers.borrow().values().filter(|follower| follower.at.elapsed() < FOLLOWS).count();
        u32::try_from(here).unwrap_or(u32::MAX).max(self.known.load(Ordering::Relaxed))
    }

    /// Notes in the store who has asked here since the last time, and reads how many ask anywhere.
    async fn share(&self, store: &Store) -> Result<(), StoreError> {
        let (heartbeats, asked): (Vec<_>, Vec<_>) = {
            let followers = self.followers.borrow();
            followers.iter().filter(|(_, follower)| !follower.noted).map(Follower::heartbeat).unzip()
        };
        if !heartbeats.is_empty() {
            // Before the store forgets what was said last; a crash in between only tells it twice.
            for heartbeat in &heartbeats {
                journals::note(store, heartbeat).await?;
            }
            store.proxies_seen(&heartbeats).await?;
            self.followers.send_if_modified(|followers| {
                for (heartbeat, at) in heartbeats.iter().zip(asked) {
                    if let Some(follower) = followers.get_mut(&heartbeat.id).filter(|follower| follower.at == at) {
                        follower.noted = true;
                    }
                }
                // Nobody waits for that.
                false
            });
        }
        self.known.store(store.live_proxies(FOLLOWS).await?, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until every proxy that asks here and may go on has adopted the current policy, or for [`ADOPTION`].
    pub(crate) async fn adopted(&self) {
        let policy = self.current();
        let mut followers = self.followers.subscribe();
        let all = followers.wait_for(|followers| followers.values().all(|follower| follower.is_done(&policy)));
        if tokio::time::timeout(ADOPTION, all).await.is_err() {
            tracing::warn!(version = policy.version, "a proxy has not yet adopted the policy");
        }
    }

    /// Waits for those that ask other main servers, too, and says which proxies may not hold the current policy then.
    pub(crate) async fn adopted_elsewhere(&self, store: &Store) -> Result<Behind, StoreError> {
        let (until, policy) = (Instant::now() + ELSEWHERE.0, self.current());
        loop {
            let behind = self.behind(store, &policy).await?;
            if behind.live.is_empty() || Instant::now() >= until {
                return Ok(behind);
            }
            tokio::time::sleep(ELSEWHERE.1).await;
        }
    }

    async fn behind(&self, store: &Store, policy: &Policy) -> Result<Behind, StoreError> {
        let (live_since, known_since) = (store.live_since(FOLLOWS).await?, store.live_since(GONE).await?);
        let mut behind = Behind::default();
        for SeenProxy { heartbeat, seen_at } in store.seen_proxies().await? {
            let is_done_here = self.followers.borrow().get(&heartbeat.id).is_some_and(|here| here.is_done(policy));
            let holds = heartbeat.policy_version.is_some_and(|version| version >= policy.version);
            if is_done_here || holds || seen_at <= known_since {
                continue;
            }
            if seen_at > live_since { behind.live.push(heartbeat.name) } else { behind.silent.push(heartbeat.name) }
        }
        Ok(behind)
    }

    /// The CAs that edges trust from the next refresh on.
    pub(crate) fn trust(&self, ca_pem: String) {
        self.ca_pem.store(Arc::new(ca_pem));
    }

    /// Reads the policy anew after a change made here.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.refreshing.lock().await;
        let (mut policy, revoked_proxies) = build(store, &self.ca_pem.load(), self.master.public()).await?;
        policy.limits.proxies = self.live_proxies();
        self.revoked_proxies.store(Arc::new(revoked_proxies));
        self.sender.send_if_modified(|held| {
            let changed = **held != policy;
            if changed {
                *held = Arc::new(policy);
            }
            changed
        });
        Ok(())
    }

    /// Reads the policy anew if the store's version is another: a change made by another main server. Shares with the other
    /// main servers who asks here, and notices proxies that ask no more.
    pub(crate) async fn follow(&self, store: &Store) {
        if let Err(error) = self.share(store).await {
            mb_runtime::logging::limited("proxies", || tracing::warn!(%error, "proxies not counted"));
        }
        self.count_proxies();
        let outcome = match store.policy_version().await {
            Ok(version) if version == self.current().version => return,
            Ok(_) => self.refresh(store).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            mb_runtime::logging::limited("policy refresh", || tracing::warn!(%error, "policy not refreshed"));
        }
    }
}

/// What a proxy is known by: its own number, or for one that has none its certificate.
fn id(proxy: &Identity, instance: Option<u64>) -> String {
    instance.map_or_else(|| proxy.fingerprint.clone(), |instance| hex::encode(&instance.to_be_bytes()))
}

/// A proxy that polls.
#[derive(Debug)]
struct Follower {
    identity: Arc<Identity>,
    since: Option<u64>,
    clock_ahead_ms: Option<i64>,
    faults: JournalFaults,
    backlog: JournalBacklog,
    at: Instant,
    /// Whether the store has it.
    noted: bool,
}

impl Follower {
    /// What the store is told, and of when it is.
    fn heartbeat((id, follower): (&String, &Self)) -> (Heartbeat, Instant) {
        let heartbeat = Heartbeat {
            id: id.clone(),
            name: follower.identity.name.clone(),
            policy_version: follower.since,
            clock_ahead_ms: follower.clock_ahead_ms,
            faults: follower.faults,
            backlog: follower.backlog,
        };
        (heartbeat, follower.at)
    }

    /// Whether nobody needs to wait until it adopts `policy`.
    fn is_done(&self, policy: &Policy) -> bool {
        self.since.is_some_and(|since| since >= policy.version)
            || self.at.elapsed() >= FOLLOWS
            || policy.is_revoked(&self.identity)
    }
}

async fn build(
    store: &Store,
    ca_pem: &str,
    master_key: MasterPublicKey,
) -> Result<(Policy, BTreeSet<CertificateRef>), StoreError> {
    let parts = store.policy_parts().await?;
    let policy = Policy {
        version: parts.version,
        ca_pem: ca_pem.to_owned(),
        issuers: mb_crypto::ca::issuers(ca_pem).into_iter().collect(),
        master_key,
        revoked: parts.revoked,
        suspended: parts.suspended,
        domains: parts.domains.iter().map(|(name, rules)| (name.clone(), rules.body_rules())).collect(),
        limits: RateLimits {
            // Counted by who asks.
            proxies: 0,
            domains: parts.domains.iter().filter_map(|(name, rules)| Some((name.clone(), rules.rate_limit?))).collect(),
            clients: parts.client_rate_limits,
        },
        expunged: parts.expunged,
    };
    Ok((policy, parts.revoked_proxies))
}

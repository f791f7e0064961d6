//! The policy at the edge: followed by long poll, kept on disk, so that the proxy starts and serves without a main server.
//!
//! Two generations of `policy.bin` are kept, each with a checksum: a crash in the middle of a write leaves the older one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_api::client::Client;
use mb_api::dto::PolicyQuery;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Clock, Policy, Timestamp};
use mb_runtime::{News, PolicyFollower};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Shared;

/// How often an unchanged policy is written again, with the time at which it was last known to be current.
const KEEP_EVERY: Duration = Duration::from_mins(1);

const MAGIC: &[u8; 4] = b"MBP1";
/// The two generations.
const CURRENT: &str = "policy.bin";
const OLDER: &str = "policy.old.bin";

/// When the policy in effect was last known to be current: microseconds, 0 = never.
#[derive(Clone, Debug)]
pub(crate) struct PolicyAge(Arc<AtomicI64>);

impl PolicyAge {
    fn seen_at(&self) -> Option<Timestamp> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// NaN before the first policy.
    pub(crate) fn seconds(&self, now: Timestamp) -> f64 {
        self.seen_at().map_or(f64::NAN, |seen_at| now.since(seen_at).as_secs_f64())
    }
}

#[derive(Debug)]
pub(crate) struct PolicyKeeper {
    sender: watch::Sender<Option<Arc<Policy>>>,
    seen_at: PolicyAge,
    /// What the main server last said of this proxy's certificate instead of answering.
    refused: Mutex<Option<ProblemCode>>,
    max_age: Duration,
    dir: PathBuf,
}

impl PolicyKeeper {
    pub(crate) fn open(dir: &Path, max_age: Duration, now: Timestamp) -> Self {
        let kept = [CURRENT, OLDER].iter().find_map(|name| read(&dir.join(name)));
        let (policy, seen_at) = match kept {
            // A file from the future is as old as now at best: a clock that was wrong must not keep it fresh for long.
            Some((policy, seen_at)) => (Some(Arc::new(policy)), seen_at.min(now).micros()),
            None => (None, 0),
        };
        Self {
            sender: watch::Sender::new(policy),
            seen_at: PolicyAge(Arc::new(AtomicI64::new(seen_at))),
            refused: Mutex::default(),
            max_age,
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Policy>>> {
        self.sender.subscribe()
    }

    /// A handle for the metric.
    pub(crate) fn age(&self) -> PolicyAge {
        self.seen_at.clone()
    }

    pub(crate) fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at.seen_at()
    }

    /// The policy to decide by.
    ///
    /// # Errors
    /// `no_policy` before the first one, `policy_stale` if it was not confirmed for too long, `proxy_untrusted` if the main
    /// server refuses this proxy: it would refuse what is accepted here, too.
    pub(crate) fn usable(&self, now: Timestamp) -> Result<Arc<Policy>, ApiError> {
        let Some(policy) = self.current() else {
            let detail = "this proxy has not yet received a policy from the main server";
            return Err(ApiError::new(ProblemCode::NoPolicy, detail));
        };
        if self.seen_at().is_none_or(|seen_at| now.since(seen_at) > self.max_age) {
            let detail = "this proxy has not heard from the main server for too long to know who may submit";
            return Err(ApiError::new(ProblemCode::PolicyStale, detail));
        }
        if let Some(code) = *self.refused.lock().unwrap_or_else(PoisonError::into_inner) {
            let detail = format!("the main server refuses this proxy's certificate: {code}");
            return Err(ApiError::new(ProblemCode::ProxyUntrusted, detail));
        }
        Ok(policy)
    }

    /// The policy in effect, however old it is.
    pub(crate) fn current(&self) -> Option<Arc<Policy>> {
        self.sender.borrow().clone()
    }

    /// What a question for news says of the policy in effect.
    fn held(&self) -> PolicyQuery {
        PolicyQuery::of(self.sender.borrow().as_deref())
    }

    /// Takes a new policy, or the news that the held one is still current, or that this proxy is refused.
    fn adopt(&self, news: News, now: Timestamp) {
        let refused = if let News::Refused(code) = news { Some(code) } else { None };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        if refused.is_none() {
            self.seen_at.0.store(now.micros(), Ordering::Relaxed);
        }
        if let News::Policy(policy) = news {
            self.sender.send_replace(Some(Arc::new(policy)));
        }
    }

    /// Writes the policy in effect to disk; `false` if that failed.
    async fn keep(&self) -> bool {
        let (policy, seen_at) = (self.sender.borrow().clone(), self.seen_at());
        let (Some(policy), Some(seen_at)) = (policy, seen_at) else { return true };
        let dir = self.dir.clone();
        // Disks stall: that must not hold up those who submit.
        let written = tokio::task::spawn_blocking(move || write(&dir, &policy, seen_at)).await;
        match written.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            Ok(()) => true,
            Err(error) => {
                mb_runtime::logging::limited("policy.bin", || tracing::warn!(%error, "policy not kept on disk"));
                false
            }
        }
    }
}

fn write(dir: &Path, policy: &Policy, seen_at: Timestamp) -> std::io::Result<()> {
    let body = serde_json::to_vec(policy).map_err(std::io::Error::other)?;
    let mut file = Vec::with_capacity(body.len() + 16);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&seen_at.micros().to_be_bytes());
    file.extend_from_slice(&body);
    let sum = crc32c::crc32c(&file);
    file.extend_from_slice(&sum.to_be_bytes());
    let (current, older) = (dir.join(CURRENT), dir.join(OLDER));
    if read(&current).is_some() {
        std::fs::rename(&current, &older)?;
    }
    mb_crypto::files::write_public(&current, &file).map_err(std::io::Error::other)
}

fn read(path: &Path) -> Option<(Policy, Timestamp)> {
    let file = std::fs::read(path).ok()?;
    let (content, sum) = file.split_last_chunk::<4>()?;
    (crc32c::crc32c(content) == u32::from_be_bytes(*sum)).then_some(())?;
    let rest = content.strip_prefix(MAGIC)?;
    let (seen_at, body) = rest.split_first_chunk::<8>()?;
    Some((serde_json::from_slice(body).ok()?, Timestamp::from_micros(i64::from_be_bytes(*seen_at))))
}

/// Follows the main server's policy until the soft stop.
pub(crate) async fn follow(shared: Arc<Shared>, soft: CancellationToken) {
    soft.run_until_cancelled(follow_forever(&shared.policy, &shared.server, &shared.clock)).await;
}

async fn follow_forever(keeper: &PolicyKeeper, server: &Client, clock: &Clock) {
    let mut follower = PolicyFollower::new(server.clone());
    let mut kept_at: Option<Instant> = None;
    loop {
        let held = keeper.held();
        let news = follower.next(held).await;
        let changed = matches!(&news, News::Policy(policy) if PolicyQuery::of(Some(policy)) != held);
        keeper.adopt(news, clock.now());
        if changed || kept_at.is_none_or(|kept_at| kept_at.elapsed() >= KEEP_EVERY) {
            kept_at = keeper.keep().await.then(Instant::now);
        }
    }
}

#[cfg(test)]
mod tests;

//! The policy at the edge: followed by long poll, kept on disk, so that the proxy starts and serves without a main server.
//!
//! Two generations of `policy.bin` are kept, each with a checksum: a crash in the middle of a write leaves the older one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mb_api::dto::PolicyQuery;
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{Clock, Policy, Timestamp};
use mb_queue::JournalStatus;
use mb_runtime::{News, PolicyFollower};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::for_good::Dropped;
use crate::{Shared, instance};

/// How often an unchanged policy is written again, with the time at which it was last known to be current.
const KEEP_EVERY: Duration = Duration::from_mins(1);

/// When what could not be told to the main server is told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

const MAGIC: &[u8; 4] = b"MBP1";
/// The two generations.
const CURRENT: &str = "policy.bin";
const OLDER: &str = "policy.old.bin";

/// When the policy in effect was last known to be current; nothing before the first.
#[derive(Clone, Debug)]
pub(crate) struct PolicyAge(Arc<Mutex<Option<Seen>>>);

/// The wall clock says how old the file is at start, and no more: while the process runs, a clock that jumps makes a
/// policy neither older nor younger.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// For the file.
    at: Timestamp,
    /// How old it was then.
    age: Duration,
    since: Instant,
}

impl PolicyAge {
    fn seen(&self) -> Option<Seen> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` before the first policy.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.seen().map(|seen| seen.age + seen.since.elapsed())
    }

    /// NaN before the first policy.
    pub(crate) fn seconds(&self) -> f64 {
        self.age().map_or(f64::NAN, |age| age.as_secs_f64())
    }

    fn touch(&self, now: Timestamp) {
        let seen = Seen { at: now, age: Duration::ZERO, since: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }
}

#[derive(Debug)]
pub(crate) struct PolicyKeeper {
    sender: watch::Sender<Option<Arc<Policy>>>,
    age: PolicyAge,
    /// What the main server last said of this proxy's certificate instead of answering.
    refused: Mutex<Option<ProblemCode>>,
    max_age: Duration,
    dir: PathBuf,
}

impl PolicyKeeper {
    pub(crate) fn open(dir: &Path, max_age: Duration, now: Timestamp) -> Self {
        let kept = [CURRENT, OLDER].iter().find_map(|name| read(&dir.join(name)));
        let (policy, seen) = match kept {
            // A file from the future is as old as now at best: a clock that was wrong must not keep it fresh for long.
            Some((policy, at)) => {
                let seen = Seen { at: at.min(now), age: now.since(at), since: Instant::now() };
                (Some(Arc::new(policy)), Some(seen))
            }
            None => (None, None),
        };
        Self {
            sender: watch::Sender::new(policy),
            age: PolicyAge(Arc::new(Mutex::new(seen))),
            refused: Mutex::default(),
            max_age,
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Policy>>> {
        self.sender.subscribe()
    }

    /// How old the policy is; also a handle for the metric.
    pub(crate) fn age(&self) -> &PolicyAge {
        &self.age
    }

    /// The policy to decide by.
    ///
    /// # Errors
    /// `no_policy` before the first one, `policy_stale` if it was not confirmed for too long, `proxy_untrusted` if the main
    /// server refuses this proxy: it would refuse what is accepted here, too.
    pub(crate) fn usable(&self) -> Result<Arc<Policy>, ApiError> {
        let Some(policy) = self.current() else {
            let detail = "this proxy has not yet received a policy from the main server";
            return Err(ApiError::new(ProblemCode::NoPolicy, detail));
        };
        if self.age.age().is_none_or(|age| age > self.max_age) {
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
            self.age.touch(now);
        }
        if let News::Policy(policy) = news {
            self.sender.send_replace(Some(Arc::from(policy)));
        }
    }

    /// Writes the policy in effect to disk; `false` if that failed.
    async fn keep(&self) -> bool {
        let (Some(policy), Some(seen)) = (self.current(), self.age.seen()) else { return true };
        let dir = self.dir.clone();
        // Disks stall: that must not hold up those who submit.
        let written = tokio::task::spawn_blocking(move || write(&dir, &policy, seen.at)).await;
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
    let follower =
        PolicyFollower::new(shared.server.clone()).of_proxy(instance::number(shared.instance), shared.clock.clone());
    let journal = || shared.journal.status();
    soft.run_until_cancelled(follow_forever(&shared.policy, follower, &shared.clock, journal)).await;
}

async fn follow_forever(
    keeper: &PolicyKeeper,
    mut follower: PolicyFollower,
    clock: &Clock,
    journal: impl Fn() -> JournalStatus,
) {
    let mut kept_at: Option<Instant> = None;
    let mut dropped = Dropped::default();
    let mut untold = false;
    loop {
        // Who says that it holds a policy has told what it knows and that does not name.
        let held = if untold { PolicyQuery::default() } else { keeper.held() };
        let status = journal();
        follower.tell(status.faults(), status.backlog());
        let mut news = follower.next(held).await;
        if let (News::Policy(next), Some(current)) = (&mut news, keeper.current()) {
            dropped.keep(&current, next);
        }
        let changed = matches!(&news, News::Policy(policy) if PolicyQuery::of(Some(policy)) != keeper.held());
        keeper.adopt(news, clock.now());
        if changed || kept_at.is_none_or(|kept_at| kept_at.elapsed() >= KEEP_EVERY) {
            kept_at = keeper.keep().await.then(Instant::now);
        }
        untold = false;
        if let Some(owed) = dropped.owed() {
            match follower.server().merge_back(&owed).await {
                Ok(open) => dropped.was_told(&owed, &open),
                Err(error) => {
                    tracing::warn!(%error, "what is held for good not told, it stays in effect here");
                    untold = true;
                    tokio::time::sleep(TELL_AGAIN).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

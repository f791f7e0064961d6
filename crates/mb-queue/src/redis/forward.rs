//! The proxy's half: puts what the journal hands over into the stream, and notices when the stream is not what it was.
//!
//! The journal's window bounds how far it is ahead of confirmation, so the stream stays bounded without a limit of its own.
//! An entry that did not get through is claimable again at once; an entry that did is asked about by confirm until the store
//! has it. If the queue's identity changed, and from time to time, the units that are missing in it are reported to the
//! journal, which forwards again what the store lacks of them.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mb_core::Clock;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, Value, from_redis_value, pipe};
use tokio::time::{Instant, MissedTickBehavior};

use super::config::RedisConfig;
use super::group::{self, Identity};
use super::link::{ANSWER, Activity, Freshness, Link, RedisHealth};
use super::unit;
use crate::Journal;
use crate::journal::window::{Loss, Tag};
use crate::queue::{Claim, Claimed};

/// What one round trip carries.
const CLAIM: Claim = Claim { entries: 8 * unit::MAX_ENTRIES, bytes: 1 << 20 };
/// Units looked for in one round trip; the answer carries what it finds.
const LOOK: usize = 32;
/// That the queue is another one is reported no more often than this.
const REPORT: Duration = Duration::from_secs(10);
/// Units looked up in the journal at once.
const FORGET: usize = 1024;

/// Puts a journal's entries into the queue on Redis.
#[derive(Debug)]
pub struct Forwarder {
    journal: Journal,
    config: Arc<RedisConfig>,
    link: Link,
    health: RedisHealth,
    identity: Option<Identity>,
    /// Units in the stream as far as they may not be confirmed, with the ids that they have there.
    units: VecDeque<(u64, String)>,
    /// When the open units were last looked for in the stream.
    looked: Instant,
    /// When it was last reported that the queue is another one.
    reported: Option<Instant>,
}

impl Forwarder {
    /// A forwarder that does nothing before it runs.
    pub fn new(journal: Journal, config: RedisConfig, clock: Clock) -> Self {
        let (config, health) = (Arc::new(config), RedisHealth::new(clock));
        let link = Link::new(Arc::clone(&config), health.clone(), ANSWER);
        let looked = Instant::now();
        Self { journal, config, link, health, identity: None, units: VecDeque::new(), looked, reported: None }
    }

    /// How its Redis fares.
    pub fn health(&self) -> RedisHealth {
        self.health.clone()
    }

    /// Forwards until `stop` or until the journal is shut down.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = stop => {}
            () = self.forward() => {}
        }
    }

    async fn forward(&mut self) {
        let mut checks = tokio::time::interval(self.config.check_every);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = self.connection().await;
        loop {
            let claimed = tokio::select! {
                claimed = self.journal.claim(CLAIM) => claimed,
                _ = checks.tick() => {
                    self.forget_confirmed();
                    if !self.units.is_empty() {
                        connection = self.checked(connection).await;
                    }
                    continue;
                }
            };
            if claimed.entries.is_empty() {
                return;
            }
            match self.put(&mut connection, claimed).await {
                Ok(()) => self.link.works(Activity::Put),
                Err(error) => {
                    self.link.failed(Activity::Put, &error).await;
                    connection = self.connection().await;
                }
            }
        }
    }

    /// A connection to a queue that was looked at since it was opened. Safe to cancel.
    async fn connection(&mut self) -> MultiplexedConnection {
        loop {
            let (mut connection, freshness) = self.link.connection().await;
            if freshness == Freshness::Used {
                return connection;
            }
            let checked = match group::admit(&mut connection, &self.config).await {
                Ok(()) => self.check(&mut connection).await,
                refused => refused,
            };
            match checked {
                Ok(()) => {
                    self.link.works(Activity::Check);
                    return connection;
                }
                Err(error) => self.link.failed(Activity::Check, &error).await,
            }
        }
    }

    async fn checked(&mut self, mut connection: MultiplexedConnection) -> MultiplexedConnection {
        match self.check(&mut connection).await {
            Ok(()) => connection,
            Err(error) => {
                self.link.failed(Activity::Check, &error).await;
                self.connection().await
            }
        }
    }

    /// Looks whether the queue is still the same; if not, what of the open units it lacks.
    async fn check(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let identity = group::identity(connection, &self.config).await?;
        self.health.set_depth(redis::cmd("XLEN").arg(&self.config.stream).query_async(connection).await?);
        if self.identity.as_ref() != Some(&identity) {
            self.forget_confirmed();
            let missing = self.missing(connection).await?;
            if self.identity.is_some() {
                self.report_change(missing.len());
            }
            self.journal.missing(&missing, Loss::Missing);
            self.identity = Some(identity);
            self.looked = Instant::now();
        } else if self.looked.elapsed() >= self.config.claim_idle {
            // What was taken out of the same queue was registered, or dropped by who took it; nothing need come after it for
            // that to be found out.
            self.forget_confirmed();
            let missing = self.missing(connection).await?;
            self.journal.missing(&missing, Loss::Dropped);
            self.looked = Instant::now();
        }
        Ok(())
    }

    /// A Redis that throws the stream away again and again must not fill the log.
    fn report_change(&mut self, missing: usize) {
        let now = Instant::now();
        if self.reported.is_none_or(|reported| reported + REPORT < now) {
            self.reported = Some(now);
            tracing::info!(open = self.units.len(), missing, "the queue in redis is another one than before");
        }
    }

    /// The open units that are not in the stream: dealt with, or lost.
    async fn missing(&self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<u64>> {
        let mut missing = Vec::new();
        let units: Vec<_> = self.units.iter().collect();
        for chunk in units.chunks(LOOK) {
            let mut look = pipe();
            for (_, id) in chunk {
                look.cmd("XRANGE").arg(&self.config.stream).arg(id).arg(id).arg("COUNT").arg(1);
            }
            let found: Vec<Vec<Value>> = look.query_async(connection).await?;
            missing.extend(chunk.iter().zip(found).filter(|(_, found)| found.is_empty()).map(|((unit, _), _)| *unit));
        }
        Ok(missing)
    }

    fn forget_confirmed(&mut self) {
        let numbers: Vec<_> = self.units.iter().map(|(unit, _)| *unit).collect();
        // In pieces: the journal's appends wait for the same lock.
        let open: Vec<_> = numbers.chunks(FORGET).flat_map(|piece| self.journal.open_units(piece)).collect();
        self.units.retain(|(unit, _)| open.binary_search(unit).is_ok());
    }

    /// Puts entries into the stream, in units. Those that it did not take are claimable again.
    async fn put(&mut self, connection: &mut MultiplexedConnection, claimed: Claimed) -> RedisResult<()> {
        let Claimed { entries, keys } = claimed;
        let mut on_the_way = OnTheWay { journal: &self.journal, tags: entries.iter().map(|entry| entry.tag).collect() };
        let units = unit::cut(entries.iter().map(|entry| &entry.envelope));
        let mut add = pipe();
        add.ignore_errors();
        for unit in &units {
            let bytes = unit::encode(entries[unit.clone()].iter().map(|entry| &entry.envelope), &keys);
            // A stream that is not there is not made by the way: it would be another one, unnoticed.
            add.cmd("XADD").arg(&self.config.stream).arg("NOMKSTREAM").arg("*").arg(unit::FIELD).arg(bytes);
        }
        let added: Vec<RedisResult<Value>> = add.query_async(connection).await?;
        on_the_way.tags.clear();
        let now = Instant::now().into_std();
        let mut outcome = Ok(());
        for (unit, id) in units.into_iter().zip(added) {
            let tags: Vec<Tag> = entries[unit].iter().map(|entry| entry.tag).collect();
            match id.and_then(id_of) {
                Ok(Some(id)) => self.units.push_back((self.journal.forwarded(now, &tags), id)),
                refused => {
                    self.journal.nack(&tags);
                    let gone = || RedisError::from((ErrorKind::Extension, "the stream is gone"));
                    outcome = Err(refused.err().unwrap_or_else(gone));
                }
            }
        }
        outcome
    }
}

fn id_of(added: Value) -> RedisResult<Option<String>> {
    from_redis_value(added).map_err(RedisError::from)
}

/// Entries on their way to Redis; if it is not known that they arrived, they are claimable again at once.
struct OnTheWay<'a> {
    journal: &'a Journal,
    tags: Vec<Tag>,
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        if !self.tags.is_empty() {
            self.journal.nack(&self.tags);
        }
    }
}

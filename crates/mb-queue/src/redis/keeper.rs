//! The worker's half on the network: brings units while claims wait for them, and tells Redis what became of them.
//!
//! New units are read on a connection of its own, which waits in Redis; everything else goes over a second one. Units that a
//! worker took and let lie go to another one after a while; those that were lost on the way to this one (the connection
//! broke under the answer) are fetched again at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd, from_redis_value, pipe};
use tokio::time::{Instant, MissedTickBehavior};

use super::config::RedisConfig;
use super::held::Settled;
use super::link::{ANSWER, Activity, Freshness, Link};
use super::queue::Shared;
use super::{group, unit};

/// How long a read waits in Redis; finite, so that a connection that died unseen is noticed.
const BLOCK: Duration = Duration::from_secs(5);
/// The most units of one read.
const MAX_UNITS: usize = 64;
/// The most units of another worker that are taken over at once.
const TAKE_OVER: usize = 16;
/// After the stop, how long workers have to finish what they hold.
const LINGER: Duration = Duration::from_secs(5);
/// What was removed is reported no more often than this.
const REPORT: Duration = Duration::from_secs(10);
/// Every so-manieth look at the stream, consumers that are gone are forgotten.
const FORGET_EVERY: u32 = 60;
/// Every so-manieth look, it is asked what each consumer holds.
const PENDING_EVERY: u32 = 5;
/// Consumers that are told of.
const CONSUMERS: usize = 100;

/// Where a search begins, and what it says at its end.
const START: &str = "0-0";
/// Pieces of one search; a piece is ten times as long as what it may find.
const MAX_SEARCHES: usize = 10;

/// A unit that somebody holds: id, consumer, idle milliseconds, how often it was claimed.
type Pending = (String, String, u64, u32);

/// An entry of the stream: id, and fields with values in turn.
type StreamEntry = (String, Vec<Vec<u8>>);

/// Does the work of a [`super::RedisQueue`] on the network.
#[derive(Debug)]
pub struct QueueKeeper {
    shared: Arc<Shared>,
    consumer: String,
}

impl QueueKeeper {
    pub(super) fn new(shared: Arc<Shared>, worker: &str) -> Self {
        // Workers that carry the same name by mistake must not take over each other's units.
        let mut unique = [0; 4];
        let unique = getrandom::fill(&mut unique).map_or(0, |()| u32::from_be_bytes(unique));
        Self { consumer: format!("{worker}-{unique:08x}"), shared }
    }

    /// Works until `stop`, and then until workers are done with what they hold, at most five seconds.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Self { shared, consumer } = self;
        let mut reading = Side::new(&shared, &consumer, BLOCK + ANSWER);
        let mut telling = Side::new(&shared, &consumer, ANSWER);
        tokio::select! {
            () = stop => {}
            () = reading.read() => {}
            () = telling.tell_and_look() => {}
        }
        shared.close();
        let finish = async {
            while !shared.is_done() {
                telling.tell().await;
                // Rung by whoever settles; a lease that ends rings nobody.
                drop(tokio::time::timeout(Duration::from_millis(100), shared.settling.notified()).await);
            }
        };
        if tokio::time::timeout(LINGER, finish).await.is_err() {
            tracing::debug!("what workers still hold goes to others when its lease ends");
        }
    }
}

/// One of the two connections and what it is used for.
struct Side<'a> {
    shared: &'a Shared,
    config: &'a RedisConfig,
    consumer: &'a str,
    link: Link,
    /// Where the search for abandoned units goes on.
    cursor: String,
    /// Envelopes per unit, about.
    unit_size: usize,
    /// When it was last reported that something was removed.
    reported: Option<Instant>,
}

impl<'a> Side<'a> {
    fn new(shared: &'a Shared, consumer: &'a str, answer: Duration) -> Self {
        let link = Link::new(Arc::clone(&shared.config), shared.health.clone(), answer);
        Self { shared, config: &shared.config, consumer, link, cursor: START.to_owned(), unit_size: 1, reported: None }
    }

    /// Reads new units as long as somebody wants some.
    async fn read(&mut self) {
        loop {
            let wanted = self.shared.wanted();
            if wanted == 0 {
                self.shared.demand.notified().await;
                continue;
            }
            let (mut connection, freshness) = self.link.connection().await;
            let read = async {
                if freshness == Freshness::New {
                    group::admit(&mut connection, self.config).await?;
                    group::identity(&mut connection, self.config).await?;
                    self.recover(&mut connection).await?;
                }
                // What was let lie is older than anything new; the oldest of it comes first.
                let mut taken = Vec::new();
                if self.shared.may_take_over() {
                    START.clone_into(&mut self.cursor);
                    taken = self.take_over(&mut connection).await?;
                }
                if !taken.is_empty() {
                    return Ok(taken);
                }
                let units = wanted.div_ceil(self.unit_size).clamp(1, MAX_UNITS);
                let entries = self.read_new(&mut connection, units).await?;
                Ok(entries.into_iter().map(|entry| (entry, 1)).collect())
            };
            match read.await {
                Ok(entries) => {
                    self.link.works(Activity::Read);
                    self.take(entries);
                }
                Err(error) if group::is_gone(&error) => self.make_group(Activity::Read, &mut connection).await,
                Err(error) => self.link.failed(Activity::Read, &error).await,
            }
        }
    }

    async fn read_new(&self, connection: &mut MultiplexedConnection, units: usize) -> RedisResult<Vec<StreamEntry>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.config.group).arg(self.consumer).arg("COUNT").arg(units);
        read.arg("BLOCK").arg(millis(BLOCK)).arg("STREAMS").arg(&self.config.stream).arg(">");
        let streams: Option<Vec<(String, Vec<StreamEntry>)>> = read.query_async(connection).await?;
        Ok(streams.into_iter().flatten().flat_map(|(_, entries)| entries).collect())
    }

    /// Fetches units that Redis gave to this consumer and that never arrived.
    async fn recover(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut pending = cmd("XPENDING");
        pending.arg(&self.config.stream).arg(&self.config.group).arg("-").arg("+").arg(1000).arg(self.consumer);
        let rows: Vec<Pending> = pending.query_async(connection).await?;
        let lost: Vec<_> = rows.into_iter().filter(|(id, ..)| !self.shared.holds(id)).collect();
        for chunk in lost.chunks(TAKE_OVER) {
            let mut claim = cmd("XCLAIM");
            claim.arg(&self.config.stream).arg(&self.config.group).arg(self.consumer).arg(0);
            for (id, ..) in chunk {
                claim.arg(id);
            }
            let entries: Vec<Option<StreamEntry>> = claim.query_async(connection).await?;
            let count = |id: &str| chunk.iter().find(|row| row.0 == id).map_or(1, |row| row.3 + 1);
            let counted = |entry: StreamEntry| {
                let times = count(&entry.0);
                (entry, times)
            };
            self.take(entries.into_iter().flatten().map(counted).collect());
        }
        Ok(())
    }

    /// Tells Redis what is settled, and looks at the stream from time to time.
    async fn tell_and_look(&mut self) {
        let mut looks = tokio::time::interval(self.config.check_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u32;
        loop {
            tokio::select! {
                () = self.shared.settling.notified() => self.tell().await,
                _ = looks.tick() => {
                    count = count.wrapping_add(1);
                    self.look(count).await;
                }
            }
        }
    }

    /// What could not be told stays for the next time.
    async fn tell(&mut self) {
        let settled = self.shared.settled();
        if settled.is_empty() {
            return;
        }
        let (mut connection, _) = self.link.connection().await;
        match self.tell_all(&mut connection, &settled).await {
            Ok(()) => {
                self.link.works(Activity::Tell);
                self.shared.told(settled.len());
            }
            // Nobody holds anything any more: whatever is still in the stream is handed out again.
            Err(error) if group::is_gone(&error) => self.shared.told(settled.len()),
            Err(error) => {
                self.link.failed(Activity::Tell, &error).await;
                self.shared.settling.notify_one();
            }
        }
    }

    /// One round trip for all that is done, and one for all that goes back. None of it needs memory in Redis.
    async fn tell_all(&self, connection: &mut MultiplexedConnection, settled: &[Settled]) -> RedisResult<()> {
        let RedisConfig { stream, group, .. } = self.config;
        let done: Vec<_> =
            settled.iter().filter_map(|s| if let Settled::Done(id) = s { Some(id) } else { None }).collect();
        if !done.is_empty() {
            // No transaction: a Redis without memory takes no commands into one. Deleted first: what is deleted and not
            // acknowledged ends at the next look, what is acknowledged and not deleted would stay for ever.
            let mut all = pipe();
            all.cmd("XDEL").arg(stream).arg(&done).ignore();
            all.cmd("XACK").arg(stream).arg(group).arg(&done).ignore();
            all.exec_async(connection).await?;
        }
        let now = Instant::now().into_std();
        let is_held = |s: &Settled| match s {
            Settled::Back(id, end) => (now < *end).then(|| id.clone()),
            Settled::Done(_) => None,
        };
        let back: Vec<_> = settled.iter().filter_map(is_held).collect();
        if !back.is_empty() {
            // As if they had lain there for too long: the next look of any worker takes them.
            let mut claim = cmd("XCLAIM");
            claim.arg(stream).arg(group).arg(self.consumer).arg(0).arg(&back);
            claim.arg("IDLE").arg(millis(self.config.claim_idle)).arg("JUSTID");
            claim.exec_async(connection).await?;
        }
        Ok(())
    }

    /// Takes over what others let lie, if somebody here wants it, and notes how much there is.
    async fn look(&mut self, count: u32) {
        let (mut connection, _) = self.link.connection().await;
        let look = async {
            let depth = cmd("XLEN").arg(&self.config.stream).query_async(&mut connection).await?;
            self.shared.health.set_depth(depth);
            if count.is_multiple_of(FORGET_EVERY) {
                group::forget_dead(&mut connection, self.config).await?;
            }
            if count % PENDING_EVERY == 1 {
                self.shared.health.set_pending(self.pending(&mut connection).await?);
            }
            if self.shared.wanted() > 0 { self.take_over(&mut connection).await } else { Ok(Vec::new()) }
        };
        match look.await {
            Ok(taken) => {
                self.link.works(Activity::Look);
                self.take(taken);
            }
            Err(error) if group::is_gone(&error) => self.make_group(Activity::Look, &mut connection).await,
            Err(error) => self.link.failed(Activity::Look, &error).await,
        }
    }

    /// What each consumer holds.
    async fn pending(&self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<(String, u64)>> {
        type Summary = (u64, Option<String>, Option<String>, Option<Vec<(String, u64)>>);
        let mut pending = cmd("XPENDING");
        pending.arg(&self.config.stream).arg(&self.config.group);
        let (_, _, _, consumers): Summary = pending.query_async(connection).await?;
        let mut consumers = consumers.unwrap_or_default();
        consumers.truncate(CONSUMERS);
        Ok(consumers)
    }

    /// Claims what others let lie for too long; each unit with how often it was claimed.
    async fn take_over(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<(StreamEntry, u32)>> {
        let mut entries = Vec::new();
        for _ in 0..MAX_SEARCHES {
            entries = self.search(connection).await?;
            if !entries.is_empty() || self.cursor == START {
                break;
            }
        }
        self.shared.set_may_take_over(!entries.is_empty());
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut counts = pipe();
        for (id, _) in &entries {
            counts.cmd("XPENDING").arg(&self.config.stream).arg(&self.config.group).arg(id).arg(id).arg(1);
        }
        let counts: Vec<Vec<Pending>> = counts.query_async(connection).await?;
        let count = |rows: Vec<Pending>| rows.first().map_or(2, |row| row.3);
        tracing::debug!(units = entries.len(), "took over what another worker let lie");
        Ok(entries.into_iter().zip(counts.into_iter().map(count)).collect())
    }

    /// Looks through a piece of what is held by anybody.
    async fn search(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<StreamEntry>> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(&self.config.stream).arg(&self.config.group).arg(self.consumer).arg(millis(self.config.claim_idle));
        claim.arg(&self.cursor).arg("COUNT").arg(TAKE_OVER);
        let answer: Vec<Value> = claim.query_async(connection).await?;
        let mut parts = answer.into_iter();
        self.cursor = from_redis_value(parts.next().unwrap_or_default())?;
        // Redis 6.2 gives nothing for an entry that was deleted meanwhile.
        let entries: Vec<Option<StreamEntry>> = from_redis_value(parts.next().unwrap_or_default())?;
        Ok(entries.into_iter().flatten().collect())
    }

    fn take(&mut self, entries: Vec<(StreamEntry, u32)>) {
        for ((id, fields), deliveries) in entries {
            let mut fields = fields.into_iter();
            let is_ours = fields.next().is_some_and(|name| name == unit::FIELD.as_bytes());
            let bytes = fields.next().filter(|_| is_ours).unwrap_or_default();
            if let Some(size) = self.shared.put(id, bytes, deliveries) {
                self.unit_size = (self.unit_size * 3 + size).div_ceil(4).max(1);
            } else {
                self.shared.health.note_removed();
                self.report_removed();
            }
        }
    }

    /// Whoever may write to the stream must not be able to fill the log.
    fn report_removed(&mut self) {
        let now = Instant::now();
        if self.reported.is_none_or(|reported| reported + REPORT < now) {
            self.reported = Some(now);
            let removed = self.shared.health.removed();
            tracing::warn!(removed, "the stream held something that is no unit of envelopes; it was removed");
        }
    }

    async fn make_group(&mut self, at: Activity, connection: &mut MultiplexedConnection) {
        if let Err(error) = group::identity(connection, self.config).await {
            self.link.failed(at, &error).await;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

//! What may stand on a page: places and weights, read without the bodies, in order.
//!
//! A stream is what one index yields for one client or one domain, newest first. Of several streams the newest of all are
//! the newest of each one's newest, so a window over them is exact. Where all domains are asked for they are found by
//! skipping through the index, and read in the order of their newest message: one in which nothing new happened is not
//! read at all.

use std::cmp::Reverse;

use mb_core::{ClientName, DomainName, MessageId, MessageState, Timestamp, Topic};

use super::{MessageFilter, MessagePlace};
use crate::backend::Backend;
use crate::error::StoreError;
use crate::statement::Dialects;
use crate::value::{Row, Value};

/// Up to so many messages of one sender, or under one id's beginning, are sorted here; more are found on the streams.
pub(crate) const EXACT_ROWS: usize = 5000;

/// Rows that all streams together read in one step.
const WINDOW: usize = 1000;

/// Greater than every id.
const BEHIND_ALL: &[u8] = &[0xff; 17];

/// What may stand on a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) place: MessagePlace,
    /// Bytes of its sealed body.
    pub(crate) bytes: u64,
    /// Whether it matches what no index was asked for.
    pub(crate) hit: bool,
    pub(crate) source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Message,
    DeadLetter(i64),
}

/// Candidates of messages. `?1` is the client or domain, `?2` and `?3` bound the time, `?4` breaks ties at the upper
/// bound, `?5` is the number of rows, the others are what [`MessageFilter`] asks for.
macro_rules! messages {
    ($from:literal) => {
        concat!(
            "SELECT queued_at, message_id, length(encrypted_body), COALESCE((?6 IS NULL OR status = ?6 OR (status = 'delivered' AND delivered_at > ?13)) \
             AND (?7 IS NULL OR topic = ?7) AND (?8 IS NULL OR sender_number_hashed = ?8) \
             AND (?9 IS NULL OR (message_id >= ?9 AND message_id <= ?10)) \
             AND (?11 IS NULL OR domain = ?11) AND (?12 IS NULL OR client_id = ?12) \
             AND (?14 IS NULL OR delivered_at IS NULL OR delivered_at <= ?14), 0), NULL ",
            $from
        )
    };
}

/// Candidates of dead letters, likewise. Of several letters under one id the first stands for all; a letter whose id is a
/// message's does not stand in the list at all.
macro_rules! dead_letters {
    ($where:literal) => {
        concat!(
            "SELECT queued_at, message_id, length(envelope), (?6 IS NULL OR ?6 = 'failed') \
             AND (?7 IS NULL OR topic = ?7) AND ?8 IS NULL \
             AND (?9 IS NULL OR (message_id >= ?9 AND message_id <= ?10)) \
             AND (?11 IS NULL OR domain = ?11) AND (?12 IS NULL OR client_id = ?12) \
             AND ?13 IS NULL AND ?14 IS NULL, id \
             FROM dead_letters AS letter WHERE client_id IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.message_id = letter.message_id) \
             AND NOT EXISTS (SELECT 1 FROM dead_letters AS other WHERE other.message_id = letter.message_id \
             AND other.id < letter.id AND other.client_id IS NOT NULL) AND ",
            $where
        )
    };
}

/// `MySQL` skips through an index by itself where the newest of a group is asked for.
macro_rules! domains {
    ($table:literal) => {
        Dialects {
            sqlite: concat!(
                "WITH RECURSIVE present (name) AS (SELECT MIN(domain) FROM ",
                $table,
                " UNION ALL SELECT (SELECT MIN(domain) FROM ",
                $table,
                " WHERE domain > name) FROM present WHERE name IS NOT NULL) \
                 SELECT name, (SELECT MAX(queued_at) FROM ",
                $table,
                " WHERE domain = name AND queued_at <= ?1) AS newest FROM present WHERE name IS NOT NULL"
            ),
            mysql: concat!(
                "SELECT domain, MAX(queued_at) FROM ",
                $table,
                " WHERE domain IS NOT NULL AND queued_at <= ?1 GROUP BY domain"
            ),
        }
    };
}

pub(crate) const OF_DOMAIN: &str = messages!(
    "FROM messages WHERE domain = ?1 AND queued_at >= ?2 AND queued_at <= ?3 \
     AND (queued_at < ?3 OR message_id < ?4) ORDER BY queued_at DESC, message_id DESC LIMIT ?5"
);
pub(crate) const OF_CLIENT: &str = messages!(
    "FROM messages WHERE client_id = ?1 AND queued_at >= ?2 AND queued_at <= ?3 \
     AND (queued_at < ?3 OR message_id < ?4) ORDER BY queued_at DESC, message_id DESC LIMIT ?5"
);
pub(crate) const DEAD_OF_DOMAIN: &str = dead_letters!(
    "domain = ?1 AND queued_at >= ?2 AND queued_at <= ?3 AND (queued_at < ?3 OR message_id < ?4) \
     ORDER BY queued_at DESC, message_id DESC LIMIT ?5"
);
pub(crate) const DEAD_OF_CLIENT: &str = dead_letters!(
    "client_id = ?1 AND queued_at >= ?2 AND queued_at <= ?3 AND (queued_at < ?3 OR message_id < ?4) \
     ORDER BY queued_at DESC, message_id DESC LIMIT ?5"
);

/// The beginning of an id: a range of them.
pub(crate) const BY_ID: &str = messages!("FROM messages WHERE message_id >= ?9 AND message_id <= ?10 LIMIT ?5");
pub(crate) const DEAD_BY_ID: &str = dead_letters!("message_id >= ?9 AND message_id <= ?10 LIMIT ?5");

/// One look into each part of the senders' index, where it has parts.
pub(crate) const BY_SENDER: Dialects = Dialects {
    sqlite: concat!(
        "WITH RECURSIVE part (n) AS (SELECT MAX(seq) >> 14 FROM messages UNION ALL \
         SELECT n - 1 FROM part WHERE n > (SELECT MIN(seq) >> 14 FROM messages)) ",
        messages!("FROM part CROSS JOIN messages ON seq >> 14 = n AND sender_number_hashed = ?8 LIMIT ?5")
    ),
    mysql: messages!("FROM messages WHERE sender_number_hashed = ?8 LIMIT ?5"),
};

/// The domains that have a message, each with the newest one's time up to `?1`: a step through the index for each.
pub(crate) const DOMAINS: Dialects = domains!("messages");
pub(crate) const DEAD_DOMAINS: Dialects = domains!("dead_letters");

fn read(row: &Row) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        place: MessagePlace { queued_at: row.time(0)?, message_id: row.message_id(1)? },
        bytes: row.unsigned(2)?,
        hit: row.int(3)? != 0,
        source: row.optional_int(4)?.map_or(Source::Message, Source::DeadLetter),
    })
}

/// The part of the list that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    from: Timestamp,
    until: Timestamp,
    /// At `until` itself, only ids before this one.
    before: Option<MessageId>,
}

impl Bounds {
    /// `None` if nothing lies between them.
    pub(crate) fn new(filter: &MessageFilter, after: Option<MessagePlace>) -> Option<Self> {
        let from = filter.from.unwrap_or(Timestamp::from_micros(i64::MIN));
        let until = Timestamp::from_micros(filter.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1)));
        let bounds = match after {
            Some(place) if place.queued_at <= until => {
                Self { from, until: place.queued_at, before: Some(place.message_id) }
            }
            _ => Self { from, until, before: None },
        };
        (bounds.from <= bounds.until).then_some(bounds)
    }

    fn contain(&self, place: MessagePlace) -> bool {
        let below = place.queued_at < self.until
            || (place.queued_at == self.until && self.before.is_none_or(|before| place.message_id < before));
        below && place.queued_at >= self.from
    }
}

/// What a filter asks for, as values `?6` to `?14`, with its range of ids.
struct Wanted<'a> {
    filter: &'a MessageFilter,
    range: Option<(MessageId, MessageId)>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a MessageFilter) -> Self {
        Self { filter, range: filter.id.as_ref().map(mb_core::MessageIdPrefix::range) }
    }

    fn values<'v>(&'v self, scope: Option<&'v str>, bounds: &'v Bounds, limit: usize) -> [Value<'v>; 14] {
        let (low, high) = self.range.as_ref().map_or((None, None), |(low, high)| (Some(low), Some(high)));
        let id = |id: Option<&'v MessageId>| Value::blob(id.map(|id| id.as_bytes().as_slice()));
        [
            Value::text(scope),
            Value::Time(bounds.from),
            Value::Time(bounds.until),
            Value::Blob(bounds.before.as_ref().map_or(BEHIND_ALL, |before| before.as_bytes().as_slice())),
            Value::unsigned(limit as u64),
            Value::text(self.filter.status.map(MessageState::as_str)),
            Value::text(self.filter.topic.as_ref().map(Topic::as_str)),
            Value::blob(self.filter.sender.as_ref().map(<[u8; 32]>::as_slice)),
            id(low),
            id(high),
            Value::text(self.filter.domain.as_ref().map(DomainName::as_str)),
            Value::text(self.filter.client.as_ref().map(ClientName::as_str)),
            Value::time(self.filter.or_delivered_after),
            Value::time(self.filter.delivered_by),
        ]
    }
}

/// Everything that matches, in order, if the sender or the id's beginning narrows it down enough.
pub(crate) async fn exact(
    backend: &Backend,
    filter: &MessageFilter,
    bounds: &Bounds,
) -> Result<Option<Vec<Candidate>>, StoreError> {
    let same = |sql| Dialects { sqlite: sql, mysql: sql };
    let statements = match (&filter.id, &filter.sender) {
        (Some(_), _) => vec![same(BY_ID), same(DEAD_BY_ID)],
        (None, Some(_)) => vec![BY_SENDER],
        (None, None) => return Ok(None),
    };
    let wanted = Wanted::new(filter);
    let mut found = Vec::new();
    for statement in statements {
        let rows = backend.fetch(statement, wanted.values(None, bounds, EXACT_ROWS + 1)).await?;
        if rows.len() > EXACT_ROWS {
            return Ok(None);
        }
        for row in &rows {
            found.push(read(row)?);
        }
    }
    found.retain(|candidate| candidate.hit && bounds.contain(candidate.place));
    found.sort_unstable_by_key(|candidate| Reverse(candidate.place));
    Ok(Some(found))
}

/// What one index yields for one client or domain.
struct Stream {
    sql: &'static str,
    scope: Box<str>,
    /// Nothing in it is newer.
    newest: Timestamp,
}

/// The streams that make up a list, the one with the newest message first.
pub(crate) struct Streams<'a> {
    parts: Vec<Stream>,
    wanted: Wanted<'a>,
    bounds: Bounds,
}

/// The next of all streams.
pub(crate) struct Window {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) looked_at: usize,
}

impl<'a> Streams<'a> {
    pub(crate) async fn open(backend: &Backend, filter: &'a MessageFilter, bounds: Bounds) -> Result<Self, StoreError> {
        let with_dead = filter.sender.is_none() && filter.status.is_none_or(|state| state == MessageState::Failed);
        let scope = match (&filter.client, &filter.domain) {
            (Some(client), _) => Some((client.as_str(), OF_CLIENT, DEAD_OF_CLIENT)),
            (None, Some(domain)) => Some((domain.as_str(), OF_DOMAIN, DEAD_OF_DOMAIN)),
            (None, None) => None,
        };
        let mut streams = Vec::new();
        if let Some((scope, messages, dead)) = scope {
            let stream = |sql| Stream { sql, scope: scope.into(), newest: bounds.until };
            streams.push(stream(messages));
            streams.extend(with_dead.then(|| stream(dead)));
        } else {
            let domains = [(DOMAINS, OF_DOMAIN), (DEAD_DOMAINS, DEAD_OF_DOMAIN)];
            for (domains, sql) in domains.into_iter().take(if with_dead { 2 } else { 1 }) {
                for row in backend.fetch(domains, [Value::Time(bounds.until)]).await? {
                    let Some(newest) = row.optional_time(1)? else { continue };
                    streams.push(Stream { sql, scope: row.text(0)?.into(), newest });
                }
            }
            streams.sort_by_key(|stream| Reverse(stream.newest));
        }
        Ok(Self { parts: streams, wanted: Wanted::new(filter), bounds })
    }

    /// How many rows to ask each stream for, where a page needs `least`.
    pub(crate) fn window_size(&self, least: usize) -> usize {
        let filter = self.wanted.filter;
        let sifts = filter.status.is_some()
            || filter.topic.is_some()
            || filter.sender.is_some()
            || filter.id.is_some()
            || (filter.client.is_some() && filter.domain.is_some());
        if sifts { least.max(WINDOW / self.parts.len().max(1)) } else { least }
    }

    /// The next `size` of all streams, or all that are left.
    pub(crate) async fn window(&self, backend: &Backend, size: usize) -> Result<Window, StoreError> {
        let mut window = Window { candidates: Vec::new(), looked_at: 0 };
        for stream in &self.parts {
            if window.candidates.get(size - 1).is_some_and(|last| last.place.queued_at > stream.newest) {
                break;
            }
            let rows = backend.fetch(stream.sql, self.wanted.values(Some(&stream.scope), &self.bounds, size)).await?;
            window.looked_at += rows.len();
            for row in &rows {
                window.candidates.push(read(row)?);
            }
            window.candidates.sort_unstable_by_key(|candidate| Reverse(candidate.place));
            window.candidates.truncate(size);
        }
        Ok(window)
    }

    /// Goes on behind this place.
    pub(crate) fn move_behind(&mut self, place: Option<MessagePlace>) {
        if let Some(place) = place {
            (self.bounds.until, self.bounds.before) = (place.queued_at, Some(place.message_id));
        }
    }
}

//! Registering: messages, dead letters, data keys and counters of several calls in one transaction.
//!
//! Messages go in by multi-row INSERTs that expect none of them to be there, which is nearly always so. If one is, the
//! transaction is undone and begun anew, this time asking first which ids are there. So it is again if another server
//! stores the same meanwhile, or if the two wait for each other. Of two messages under one id the
//! first wins, whether the other came earlier, in another call or in the same one. Counters are made of the rows that
//! really went in.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use bytes::Bytes;
use mb_core::{Clock, Header, MessageId, MessageState, Timestamp};

use crate::backend::{Backend, Transaction};
use crate::bulk::Insert;
use crate::counters::{Additions, Instance};
use crate::data_keys::{self, DataKeyRow};
use crate::dead_letters::{self, NewDeadLetter};
use crate::deliveries::{self, Begin, Beginning, MessageIds, NewDelivery};
use crate::error::StoreError;
use crate::messages::{self, ExistingMessage};
use crate::retrying::Tries;
use crate::settings;
use crate::value::Value;

/// A message to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// The clear part.
    pub header: Header,
    /// The sender's number under the search key.
    pub sender_number_hashed: Option<[u8; 32]>,
    /// Nonce, ciphertext and tag.
    pub sealed: Bytes,
    /// How it stands: final at once where there is nothing to deliver.
    pub status: MessageState,
    /// When it comes into the store.
    pub registered_at: Timestamp,
    /// When all had taken it, for [`MessageState::Delivered`].
    pub delivered_at: Option<Timestamp>,
}

/// What one call registers; all of it or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterBatch {
    /// Data keys that the messages use; those that are known are passed over.
    pub keys: Vec<DataKeyRow>,
    /// Messages.
    pub messages: Vec<NewMessage>,
    /// What cannot be stored as a message; those that are known are passed over, and those whose id is a stored message's,
    /// unless they are there for that.
    pub dead_letters: Vec<NewDeadLetter>,
    /// Where the messages go.
    pub routed: Routed,
    /// Under whose name to count.
    pub instance: Instance,
}

/// Where the messages of a call go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routed {
    /// The version of the destinations that decided; if another holds by now, the call fails. `None` asks for none.
    pub version: Option<u64>,
    /// The deliveries, in the order of their messages.
    pub deliveries: Vec<NewDelivery>,
}

/// What became of a message or dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registered {
    /// It is stored now.
    Stored,
    /// Its id was taken, by this message in another try or by another one.
    Duplicate(Box<ExistingMessage>),
    /// It was expunged, and its row is gone: it stays out.
    Expunged,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The epoch of the store that took it, as its transaction saw it.
    pub epoch: [u8; 16],
    /// Of each message, in order.
    pub messages: Vec<Registered>,
    /// Of each dead letter, in order; a duplicate is one whose id is a stored message's.
    pub dead_letters: Vec<Registered>,
}

const COLUMNS: usize = 13;

/// Rows per statement: few sizes, so that few statement texts serve every batch and stay prepared.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// A statement takes no further row once its bodies weigh this much: servers bound what comes in one packet, some at 4 MiB.
const STATEMENT_BYTES: usize = 2 * 1024 * 1024;

const INTO: &str = "messages (message_id, client_id, domain, topic, queued_at, deliver_at, expires_at, key_id, \
                    sender_number_hashed, encrypted_body, status, registered_at, delivered_at)";

static INSERTS: LazyLock<[Insert; SIZES.len()]> = LazyLock::new(|| SIZES.map(|rows| Insert::new(INTO, COLUMNS, rows)));

impl NewMessage {
    fn values(&self) -> [Value<'_>; COLUMNS] {
        let header = &self.header;
        [
            Value::Blob(header.message_id.as_bytes()),
            Value::Text(header.client.as_str()),
            Value::Text(header.domain.as_str()),
            Value::Text(header.topic.as_str()),
            Value::Time(header.queued_at),
            Value::time(header.deliver_at),
            Value::time(header.expires_at),
            Value::Blob(header.key_id.as_bytes()),
            self.sender_number_hashed.as_ref().map_or(Value::Null, |hash| Value::Blob(hash)),
            Value::Blob(&self.sealed),
            Value::Text(self.status.as_str()),
            Value::Time(self.registered_at),
            Value::time(self.delivered_at),
        ]
    }
}

impl RegisterBatch {
    pub(crate) fn rows(&self) -> usize {
        self.messages.len() + self.dead_letters.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.sealed.len()).sum::<usize>()
            + self.dead_letters.iter().map(|letter| letter.envelope.len()).sum::<usize>()
    }
}

/// Whether messages that are stored already are to be looked for first.
#[derive(Clone, Copy)]
enum Expect {
    AllNew,
    SomeKnown,
}

/// Registers all batches in one transaction; per batch, what became of it.
///
/// # Errors
/// [`StoreError::Superseded`] if a call was routed by other destinations than there are by now.
pub(crate) async fn register(
    backend: &Backend,
    clock: &Clock,
    batches: &[&RegisterBatch],
) -> Result<Vec<Registration>, StoreError> {
    let mut expect = Expect::AllNew;
    let mut tries = Tries::new();
    loop {
        match attempt(backend, clock, batches, expect).await {
            Err(error) if error.is_unique_violation() && tries.another() => expect = Expect::SomeKnown,
            Err(error) if error.is_conflict() && tries.another() => {}
            answers => return answers,
        }
    }
}

async fn attempt(
    backend: &Backend,
    clock: &Clock,
    batches: &[&RegisterBatch],
    expect: Expect,
) -> Result<Vec<Registration>, StoreError> {
    let mut tx = backend.begin_registering().await?;
    match write(&mut tx, clock, batches, expect).await {
        Ok(answers) => {
            tx.commit().await?;
            Ok(answers)
        }
        Err(error) => {
            // The first error is the one to tell; if the rollback fails too, the connection goes with it.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn write(
    tx: &mut Transaction,
    clock: &Clock,
    batches: &[&RegisterBatch],
    expect: Expect,
) -> Result<Vec<Registration>, StoreError> {
    let standing = settings::standing(tx).await?;
    if batches.iter().any(|batch| batch.routed.version.is_some_and(|version| version != standing.destinations)) {
        return Err(StoreError::Superseded);
    }
    let expunged = if standing.has_tombstones { expunged(tx, batches).await? } else { HashSet::new() };
    let mut seen = HashSet::new();
    for key in batches.iter().flat_map(|batch| &batch.keys).filter(|key| seen.insert(key.key_id)) {
        data_keys::insert_if_absent(tx, key).await?;
    }
    let messages = batches.iter().flat_map(|batch| &batch.messages).collect::<Vec<_>>();
    let mut duplicates = match expect {
        Expect::AllNew => HashSet::new(),
        Expect::SomeKnown => duplicates(tx, &messages).await?,
    };
    if !expunged.is_empty() {
        duplicates.extend((0..messages.len()).filter(|&at| expunged.contains(&messages[at].header.message_id)));
    }
    insert_messages(tx, &messages, &duplicates).await?;
    let mut counters = Additions::default();
    if batches.iter().any(|batch| !batch.routed.deliveries.is_empty()) {
        insert_deliveries(tx, clock, batches, &duplicates, &mut counters).await?;
    }
    let mut ids = duplicates.iter().map(|&at| messages[at].header.message_id).collect::<HashSet<_>>();
    let letters = batches.iter().flat_map(|batch| &batch.dead_letters);
    ids.extend(letters.filter(|letter| letter.yields_to_message()).map(|letter| letter.message_id));
    let known = messages::existing(tx, &ids.into_iter().collect::<Vec<_>>()).await?;
    let known = known.into_iter().map(|row| (row.header.message_id, row)).collect::<HashMap<_, _>>();
    let mut at = 0;
    for batch in batches {
        for message in &batch.messages {
            if !duplicates.contains(&at) {
                counters.message(&batch.instance, &message.header.domain, message.status, message.registered_at);
            }
            at += 1;
        }
        for letter in &batch.dead_letters {
            let superfluous = expunged.contains(&letter.message_id)
                || (letter.yields_to_message() && known.contains_key(&letter.message_id));
            if !superfluous && dead_letters::insert(tx, letter).await? {
                let domain = letter.header.as_ref().map(|header| &header.domain);
                counters.dead_letter(&batch.instance, domain, letter.created_at);
            }
        }
    }
    counters.write(tx).await?;
    answers(standing.epoch, batches, &duplicates, &Known { rows: known, expunged })
}

/// The ids of these that were expunged.
async fn expunged(tx: &mut Transaction, batches: &[&RegisterBatch]) -> Result<HashSet<MessageId>, StoreError> {
    let messages = batches.iter().flat_map(|batch| &batch.messages).map(|message| message.header.message_id);
    let letters = batches.iter().flat_map(|batch| &batch.dead_letters).map(|letter| letter.message_id);
    deliveries::among(tx, &messages.chain(letters).collect::<Vec<_>>()).await
}

/// The positions of messages whose id is taken, by a stored message or by an earlier one of these.
async fn duplicates(tx: &mut Transaction, messages: &[&NewMessage]) -> Result<HashSet<usize>, StoreError> {
    let ids = messages.iter().map(|message| message.header.message_id).collect::<Vec<_>>();
    let mut taken = messages::present(tx, &ids).await?.into_iter().collect::<HashSet<_>>();
    Ok((0..ids.len()).filter(|&at| !taken.insert(ids[at])).collect())
}

async fn insert_messages(
    tx: &mut Transaction,
    messages: &[&NewMessage],
    duplicates: &HashSet<usize>,
) -> Result<(), StoreError> {
    let fresh = messages.iter().enumerate().filter(|(at, _)| !duplicates.contains(at));
    let fresh = fresh.map(|(_, message)| *message).collect::<Vec<_>>();
    let mut rest = fresh.as_slice();
    while !rest.is_empty() {
        let (size, statement) = statement_for(light(rest));
        insert(tx, statement, &rest[..size]).await?;
        rest = &rest[size..];
    }
    Ok(())
}

/// Inserts the deliveries of the messages that went in; those that are given up at once become dead letters.
async fn insert_deliveries<'a>(
    tx: &mut Transaction,
    clock: &Clock,
    batches: &[&'a RegisterBatch],
    duplicates: &HashSet<usize>,
    counters: &mut Additions<'a>,
) -> Result<(), StoreError> {
    let now = tx.now(clock).await?;
    let (mut beginnings, mut dead, mut first) = (Vec::new(), Vec::new(), 0);
    for batch in batches {
        for delivery in batch.routed.deliveries.iter().filter(|new| !duplicates.contains(&(first + new.message))) {
            let header = &batch.messages[delivery.message].header;
            let (id, deliver_at, expires_at) = (&header.message_id, header.deliver_at, header.expires_at);
            beginnings.push(Beginning { message: MessageIds { id, deliver_at, expires_at }, delivery });
            if let Begin::Dead(reason) = delivery.begin {
                dead.push((*batch, header, delivery.destination, reason));
            }
        }
        first += batch.messages.len();
    }
    deliveries::insert(tx, &beginnings, now).await?;
    let mut reasons = HashMap::<_, Vec<MessageId>>::new();
    for (_, header, _, reason) in &dead {
        reasons.entry(*reason).or_default().push(header.message_id);
    }
    for (reason, ids) in reasons {
        messages::note_given_up(tx, &ids, reason, now).await?;
    }
    for (batch, header, destination, reason) in dead {
        if dead_letters::insert_delivery(tx, header.message_id, destination, reason, now).await? {
            counters.dead_letter(&batch.instance, Some(&header.domain), now);
        }
    }
    Ok(())
}

/// How many rows from the first on one statement may take by their weight; one at least.
fn light(rows: &[&NewMessage]) -> usize {
    let mut bytes = 0;
    let heavy = rows.iter().position(|message| {
        bytes += message.sealed.len();
        bytes > STATEMENT_BYTES
    });
    heavy.unwrap_or(rows.len()).max(1)
}

async fn insert(tx: &mut Transaction, statement: Insert, rows: &[&NewMessage]) -> Result<(), StoreError> {
    tx.execute(statement, rows.iter().flat_map(|message| message.values())).await.map(drop)
}

/// The largest statement that `rows` rows fill.
fn statement_for(rows: usize) -> (usize, Insert) {
    let at = SIZES.iter().position(|&size| size <= rows).unwrap_or(SIZES.len() - 1);
    (SIZES[at], INSERTS[at].clone())
}

/// What there is under the ids of those that repeat one.
struct Known {
    rows: HashMap<MessageId, ExistingMessage>,
    expunged: HashSet<MessageId>,
}

impl Known {
    fn repeat(&self, id: MessageId) -> Result<Registered, StoreError> {
        match self.rows.get(&id) {
            Some(row) => Ok(Registered::Duplicate(Box::new(row.clone()))),
            None if self.expunged.contains(&id) => Ok(Registered::Expunged),
            None => Err(StoreError::Damaged("message index")),
        }
    }
}

fn answers(
    epoch: [u8; 16],
    batches: &[&RegisterBatch],
    duplicates: &HashSet<usize>,
    known: &Known,
) -> Result<Vec<Registration>, StoreError> {
    let mut at = 0;
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut messages = Vec::with_capacity(batch.messages.len());
        for message in &batch.messages {
            messages.push(if duplicates.contains(&at) {
                known.repeat(message.header.message_id)?
            } else {
                Registered::Stored
            });
            at += 1;
        }
        let letters = batch.dead_letters.iter().map(|letter| match known.rows.get(&letter.message_id) {
            Some(row) if letter.yields_to_message() => Registered::Duplicate(Box::new(row.clone())),
            _ if known.expunged.contains(&letter.message_id) => Registered::Expunged,
            _ => Registered::Stored,
        });
        answers.push(Registration { epoch, messages, dead_letters: letters.collect() });
    }
    Ok(answers)
}

//! What the broker has promised: every id it answered with 202, and which key it belongs to.

use std::collections::{BTreeMap, HashMap, HashSet};

use mb_core::{MessageId, Timestamp};

use crate::bench::Accepted;

/// All promises of one run.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    /// Each id once.
    pub(super) acked: Vec<Accepted>,
    /// Keys that gave a second id, and ids that were given to a second message.
    pub(super) duplicates: u64,
    /// Answers to keys that had been answered before.
    pub(super) repeats: u64,
    /// Messages without a key whose request was cut off.
    pub(super) unanswered: u64,
    /// Refusals and broken connections.
    pub(super) errors: BTreeMap<String, u64>,
    ids: HashSet<MessageId>,
    by_key: HashMap<String, MessageId>,
}

impl Ledger {
    /// Notes that a message was answered with 202. `key` names it, if it has one.
    pub(super) fn ack(&mut self, key: Option<String>, id: MessageId, at: Timestamp) {
        let known = key.as_ref().and_then(|key| self.by_key.get(key).copied());
        if known == Some(id) {
            self.repeats += 1;
            return;
        }
        let is_new = self.ids.insert(id);
        if known.is_some() || !is_new {
            self.duplicates += 1;
        }
        if is_new {
            self.acked.push(Accepted { id, at });
        }
        if let (Some(key), None) = (key, known) {
            self.by_key.insert(key, id);
        }
    }

    /// Notes a refusal or a broken connection.
    pub(super) fn error(&mut self, code: String) {
        *self.errors.entry(code).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(list: &[(Option<&str>, u8)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (key, id) in list {
            ledger.ack(key.map(str::to_owned), MessageId::from_bytes([*id; 16]), Timestamp::default());
        }
        ledger
    }

    #[test]
    fn a_repeated_key_with_the_same_id_is_one_message() {
        let ledger = acks(&[(Some("a"), 1), (Some("a"), 1), (Some("b"), 2), (None, 3)]);
        assert_eq!((ledger.acked.len(), ledger.repeats, ledger.duplicates), (3, 1, 0));
    }

    #[test]
    fn a_key_with_two_ids_is_a_duplicate_and_both_must_be_found() {
        let ledger = acks(&[(Some("a"), 1), (Some("a"), 2)]);
        assert_eq!((ledger.acked.len(), ledger.duplicates), (2, 1));
    }

    #[test]
    fn an_id_given_to_two_messages_is_a_duplicate() {
        assert_eq!(acks(&[(None, 1), (None, 1)]).duplicates, 1);
        assert_eq!(acks(&[(Some("a"), 1), (Some("b"), 1)]).duplicates, 1);
        assert_eq!(acks(&[(Some("a"), 1), (None, 1)]).duplicates, 1);
    }
}

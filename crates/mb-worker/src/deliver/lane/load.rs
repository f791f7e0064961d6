//! What a lane holds: what waits, what is being sent, what that weighs, and how fast it goes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use mb_api::dto::delivery::{HeldDelivery, LeasedDelivery};
use mb_core::{LeaseId, MessageId};
use tokio::time::Instant;

use super::super::{Room, size};
use super::held;

/// How much waits at most for each runner, unless the destination is quick.
const PER_RUNNER: usize = 8;
/// How much waits at most.
const MOST: usize = 4000;
/// Bytes of what waits at most, about: an answer of the main server may bring more at once.
const MOST_BYTES: usize = 2 << 20;
/// The time over which is seen how quick a destination is.
const SECOND: Duration = Duration::from_secs(1);
/// An answer of the main server that was made before a report arrives at most so long after that was heard.
const LATE: Duration = Duration::from_secs(2);

/// What is given out, and under which lease.
pub(super) type Key = (MessageId, LeaseId);

fn key(delivery: &LeasedDelivery) -> Key {
    (delivery.message_id, delivery.lease)
}

#[derive(Debug)]
pub(super) struct Load {
    /// With the time at which each came.
    waiting: VecDeque<(LeasedDelivery, Instant)>,
    /// With the time since when each is being sent.
    under_way: HashMap<Key, (HeldDelivery, Instant)>,
    /// All of both, and what is not reported yet. The main server gives out once more what it believes to be here, because
    /// its answer may have been lost: it is here once.
    here: HashSet<Key>,
    /// What was reported, by the time at which that was heard.
    reported: VecDeque<(Instant, Key)>,
    /// Bytes of what waits.
    bytes: usize,
    /// Sent in the second that began then, and in the one before.
    second: (Instant, usize, usize),
    /// The last who asked was told that it needs no more, since so many waited.
    full_at: Option<usize>,
}

impl Load {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
            here: HashSet::new(),
            reported: VecDeque::new(),
            bytes: 0,
            second: (now, 0, 0),
            full_at: None,
        }
    }

    /// Takes deliveries over; returns those that are here already.
    pub(super) fn take(&mut self, deliveries: Vec<LeasedDelivery>, now: Instant) -> Vec<LeasedDelivery> {
        let mut again = Vec::new();
        for delivery in deliveries {
            if self.here.insert(key(&delivery)) {
                self.bytes += size(&delivery);
                self.waiting.push_back((delivery, now));
            } else {
                again.push(delivery);
            }
        }
        again
    }

    /// The next one, which is being sent from now on, and when it came.
    pub(super) fn next(&mut self, now: Instant) -> Option<(LeasedDelivery, Instant)> {
        let (delivery, taken) = self.waiting.pop_front()?;
        self.bytes -= size(&delivery);
        self.under_way.insert(key(&delivery), (held(&delivery), now));
        Some((delivery, taken))
    }

    /// It is not being sent any more, and will be reported.
    pub(super) fn done(&mut self, delivery: &LeasedDelivery) {
        self.under_way.remove(&key(delivery));
    }

    /// The main server has heard of these: it will not give them out again under the same lease.
    pub(super) fn reported(&mut self, keys: impl IntoIterator<Item = Key>, now: Instant) {
        self.reported.extend(keys.into_iter().map(|key| (now, key)));
        while let Some((_, key)) =
            self.reported.pop_front_if(|(heard, _)| now.saturating_duration_since(*heard) >= LATE)
        {
            self.here.remove(&key);
        }
    }

    /// Nobody will be told of these.
    pub(super) fn forget<'a>(&mut self, deliveries: impl IntoIterator<Item = &'a LeasedDelivery>) {
        for delivery in deliveries {
            self.here.remove(&key(delivery));
        }
    }

    /// Counts one that was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.turn_second(now);
        self.second.1 += 1;
    }

    /// Gives up those of what waits that are meant, or that come after the first so many.
    pub(super) fn give_up(&mut self, keeps: usize, is_meant: impl Fn(&Key) -> bool) -> Vec<LeasedDelivery> {
        let (mut kept, mut given) = (VecDeque::new(), Vec::new());
        for (delivery, taken) in std::mem::take(&mut self.waiting) {
            if kept.len() >= keeps || is_meant(&key(&delivery)) {
                self.bytes -= size(&delivery);
                given.push(delivery);
            } else {
                kept.push_back((delivery, taken));
            }
        }
        self.waiting = kept;
        given
    }

    pub(super) fn waits(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = HeldDelivery> {
        let waiting = self.waiting.iter().map(|(delivery, _)| held(delivery));
        waiting.chain(self.under_way.values().map(|(held, _)| *held))
    }

    /// Whether it needs no more, for so many runners.
    pub(super) fn is_full(&mut self, runners: u32, room: Room, now: Instant) -> bool {
        let enough = match room {
            Room::Enough => self.enough(runners, now),
            Room::Short | Room::Kept => self.soon(now).max(1),
        };
        let has_some = !self.waiting.is_empty() || !self.under_way.is_empty();
        let is_full = self.waiting.len() >= enough || self.bytes >= MOST_BYTES || room == Room::Kept && has_some;
        self.full_at = is_full.then_some(enough);
        is_full
    }

    /// Whether it said that it needs no more, and half of that is gone.
    pub(super) fn eases(&mut self) -> bool {
        let eases = self.full_at.is_some_and(|at| self.waiting.len() * 2 <= at) && self.bytes * 2 <= MOST_BYTES;
        if eases {
            self.full_at = None;
        }
        eases
    }

    /// How many are to be kept where room is short, if what is sent takes long.
    pub(super) fn keeps(&mut self, now: Instant) -> Option<usize> {
        let is_long = |begun: &Instant| now.saturating_duration_since(*begun) >= SECOND;
        let is_slow = self.under_way.values().any(|(_, begun)| is_long(begun));
        is_slow.then(|| self.soon(now)).filter(|soon| *soon < self.waiting.len())
    }

    /// How many may wait: two seconds' worth of a quick one.
    fn enough(&mut self, runners: u32, now: Instant) -> usize {
        self.soon(now).clamp((runners as usize * PER_RUNNER).min(MOST), MOST)
    }

    /// How many go out within two seconds, going by the last one.
    fn soon(&mut self, now: Instant) -> usize {
        self.turn_second(now);
        2 * self.second.1.max(self.second.2)
    }

    fn turn_second(&mut self, now: Instant) {
        let (begun, this, _) = self.second;
        let passed = now.saturating_duration_since(begun);
        if passed >= 2 * SECOND {
            self.second = (now, 0, 0);
        } else if passed >= SECOND {
            self.second = (now, 0, this);
        }
    }
}

#[cfg(test)]
mod tests {
    use mb_api::dto::SecretText;
    use mb_core::DestinationId;

    use super::*;

    fn delivery(number: u8, bytes: usize) -> LeasedDelivery {
        LeasedDelivery {
            message_id: MessageId::from_bytes([number; 16]),
            destination: DestinationId::new(1),
            lease: LeaseId::from_bytes([7; 16]),
            payload: SecretText::new("x".repeat(bytes)),
            expires_at: None,
        }
    }

    fn numbers(deliveries: &[LeasedDelivery]) -> Vec<u8> {
        deliveries.iter().map(|delivery| delivery.message_id.as_bytes()[0]).collect()
    }

    #[test]
    fn what_is_given_out_again_is_held_once_until_it_is_done() {
        let now = Instant::now();
        let mut load = Load::new(now);
        assert_eq!(load.take(vec![delivery(1, 1), delivery(2, 1)], now).len(), 0);
        let (first, _) = load.next(now).expect("it waits");
        assert_eq!(numbers(&load.take(vec![delivery(1, 1), delivery(2, 1), delivery(3, 1)], now)), [1, 2]);
        assert_eq!((load.waits(), load.under_way(), load.held().count()), (2, 1, 3));
        load.done(&first);
        assert_eq!(numbers(&load.take(vec![delivery(1, 1)], now)), [1], "nobody has heard of it yet");
        load.reported([key(&first)], now);
        assert_eq!(numbers(&load.take(vec![delivery(1, 1)], now)), [1], "an answer may be late");
        load.reported([], now + LATE);
        assert_eq!(load.take(vec![delivery(1, 1)], now).len(), 0);
        let given = load.give_up(1, |_| false);
        assert_eq!(numbers(&given), [3, 1]);
        load.forget(&given);
        assert_eq!(load.take(given, now).len(), 0);
    }

    #[test]
    fn bytes_fill_a_lane_as_well_as_numbers() {
        let now = Instant::now();
        let mut load = Load::new(now);
        load.take(vec![delivery(1, MOST_BYTES / 2), delivery(2, MOST_BYTES / 2)], now);
        assert!(load.is_full(8, Room::Enough, now));
        load.next(now).expect("it waits");
        assert!(load.eases(), "half is gone");
        assert!(!load.is_full(8, Room::Enough, now));
    }

    #[test]
    fn where_room_is_short_a_lane_has_what_it_sends_within_two_seconds() {
        let now = Instant::now();
        let mut load = Load::new(now);
        load.take((1..=40).map(|number| delivery(number, 1)).collect(), now);
        load.next(now).expect("it waits");
        assert!(!load.is_full(8, Room::Enough, now) && load.is_full(8, Room::Short, now));
        assert_eq!(load.keeps(now), None, "nobody knows yet");
        let later = now + SECOND;
        assert_eq!(load.keeps(later), Some(0));
        (0..3).for_each(|_| load.sent(later));
        assert_eq!(load.keeps(later), Some(6));
        assert_eq!(load.give_up(6, |_| false).len(), 33);
        assert!(load.is_full(8, Room::Short, later) && load.keeps(later).is_none());
        (0..3).for_each(|_| drop(load.next(later)));
        assert!(load.eases() && !load.is_full(8, Room::Short, later));
    }

    #[test]
    fn what_is_kept_is_for_lanes_that_hold_nothing() {
        let now = Instant::now();
        let mut load = Load::new(now);
        assert!(!load.is_full(8, Room::Kept, now));
        load.take(vec![delivery(1, 1)], now);
        load.next(now).expect("it waits");
        assert!(load.is_full(8, Room::Kept, now) && !load.is_full(8, Room::Short, now));
    }
}

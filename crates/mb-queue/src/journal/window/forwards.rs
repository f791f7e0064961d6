//! Units of entries that were put into another queue, from which nobody reports back: when to ask the store about them,
//! and when they count as lost.
//!
//! **Asking.** Each question takes the oldest units, which are confirmed first when all goes well, and units further on, each in
//! its turn, so that what lingers at the front hides nothing behind it. As long as the answers bring something the next
//! question follows at once; when they do not, questions slow down, to one a second. So asking costs little while the main
//! server or the workers are away, and a backlog is confirmed as fast as it is registered.
//!
//! **Lost** is a unit that is known to be missing from its queue, or one that was overtaken: a unit forwarded later was
//! confirmed so long ago that this one cannot be on its way any more. Whether it is really lost the store decides.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A unit is not asked about before it can have been registered.
const SETTLE: Duration = Duration::from_millis(50);
/// The pause between questions of which the answers bring much, so that more gathers for the next one...
const SHORT: Duration = Duration::from_millis(20);
/// ...something...
const MIDDLE: Duration = Duration::from_millis(100);
/// ...or, time after time, nothing.
const LONG: Duration = Duration::from_secs(1);
/// Answers bring much if they do for every so-manieth entry.
const MUCH: usize = 4;
/// Confirmations that are this close together are remembered as one.
const GRAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Forwards {
    last: u64,
    open: BTreeMap<u64, Unit>,
    /// Units up to this one had their turn.
    turn: u64,
    next_ask: Option<Instant>,
    pause: Duration,
    /// Of the last question: entries asked about, and answers that brought something.
    asked: usize,
    useful: usize,
    passed_after: Duration,
    /// Up to which unit something was confirmed, and when at the latest; both grow.
    confirmed: VecDeque<(Instant, u64)>,
    /// Units below are overtaken.
    passed: u64,
}

/// Why a unit counts as lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Its queue is another one and does not have it: nobody looked at it.
    Missing,
    /// A unit behind it arrived, or it was taken out of the same queue: whoever took it did not register it.
    Dropped,
}

#[derive(Debug)]
struct Unit {
    places: Vec<u64>,
    since: Instant,
    loss: Option<Loss>,
}

impl Forwards {
    pub(super) fn new(passed_after: Duration) -> Self {
        Self {
            last: 0,
            open: BTreeMap::new(),
            turn: 0,
            next_ask: None,
            pause: SHORT,
            asked: 0,
            useful: 0,
            passed_after,
            confirmed: VecDeque::new(),
            passed: 0,
        }
    }

    /// No open units, but numbers go on.
    pub(super) fn renewed(&self) -> Self {
        Self { last: self.last, ..Self::new(self.passed_after) }
    }

    /// The number of the unit that [`Forwards::add`] adds next.
    pub(super) fn next_unit(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn add(&mut self, now: Instant, places: Vec<u64>) {
        self.last += 1;
        if !places.is_empty() {
            self.open.insert(self.last, Unit { places, since: now, loss: None });
        }
    }

    pub(super) fn is_open(&self, unit: u64) -> bool {
        self.open.contains_key(&unit)
    }

    pub(super) fn missing(&mut self, units: &[u64], loss: Loss) {
        for number in units {
            if let Some(unit) = self.open.get_mut(number) {
                unit.loss = Some(loss);
                self.next_ask = None;
            }
        }
    }

    pub(super) fn next_question(&self) -> Option<Instant> {
        let (_, first) = self.open.first_key_value()?;
        let due = first.since + SETTLE;
        Some(self.next_ask.map_or(due, |at| at.max(due)))
    }

    /// Entries to ask about now, as unit and place: of the oldest units, and of others in turn.
    pub(super) fn questions(&mut self, now: Instant, max: usize) -> Vec<(u64, u64)> {
        let mut questions = Vec::new();
        if max == 0 || self.next_question().is_none_or(|at| at > now) {
            return questions;
        }
        let oldest = self.take(now, 0, max.div_ceil(2), &mut questions);
        self.turn = self.take(now, self.turn.max(oldest), max, &mut questions);
        let next = self.open.range(self.turn + 1..).next();
        if next.is_none_or(|(_, unit)| unit.since + SETTLE > now) {
            // The end was reached: the next turn begins behind the oldest.
            self.turn = 0;
        }
        self.asked = questions.len();
        self.useful = 0;
        questions
    }

    /// Adds whole units behind `after` until there are `max` entries, at least one unit. The last unit added.
    fn take(&self, now: Instant, after: u64, max: usize, questions: &mut Vec<(u64, u64)>) -> u64 {
        let mut last = after;
        for (&number, unit) in self.open.range(after + 1..) {
            let left = max.saturating_sub(questions.len());
            if unit.since + SETTLE > now || (unit.places.len() > left && !questions.is_empty()) {
                break;
            }
            questions.extend(unit.places.iter().take(left).map(|place| (number, *place)));
            last = number;
        }
        last
    }

    /// The question was answered: when the next one may follow.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.asked == 0 {
            return;
        }
        self.pause = match self.useful {
            0 => (self.pause * 2).clamp(SETTLE, LONG),
            useful if useful * MUCH >= self.asked => SHORT,
            _ => MIDDLE,
        };
        let is_backlog = self.pause == SHORT && self.open.len() > 1 && self.useful == self.asked;
        self.next_ask = Some(if is_backlog { now } else { now + self.pause });
        self.asked = 0;
    }

    /// An entry of a unit needs no more questions.
    pub(super) fn settle(&mut self, number: u64, place: u64) {
        self.useful += 1;
        if let Some(unit) = self.open.get_mut(&number) {
            unit.places.retain(|held| *held != place);
            if unit.places.is_empty() {
                self.open.remove(&number);
            }
        }
    }

    /// The store has something of this unit.
    pub(super) fn confirm(&mut self, now: Instant, unit: u64) {
        self.pass(now);
        match self.confirmed.back_mut() {
            Some((_, highest)) if *highest >= unit => {}
            Some((at, highest)) if now <= *at => *highest = unit,
            _ => self.confirmed.push_back((now + GRAIN, unit)),
        }
    }

    /// Whether and why entries of a unit that the store lacks are lost.
    pub(super) fn loss(&mut self, now: Instant, number: u64) -> Option<Loss> {
        self.pass(now);
        let known = self.open.get(&number).and_then(|unit| unit.loss);
        known.or_else(|| (number < self.passed).then_some(Loss::Dropped))
    }

    fn pass(&mut self, now: Instant) {
        while let Some((at, unit)) = self.confirmed.front().copied()
            && at + self.passed_after <= now
        {
            self.passed = unit;
            self.confirmed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: Duration = Duration::from_secs(30);

    /// Units 1 to `count` of ten entries each, forwarded at `now`.
    fn forwards(now: Instant, count: u64) -> Forwards {
        let mut forwards = Forwards::new(PASSED);
        (1..=count).for_each(|unit| forwards.add(now, (unit * 10..unit * 10 + 10).collect()));
        forwards
    }

    fn units(questions: &[(u64, u64)]) -> Vec<u64> {
        let mut units: Vec<_> = questions.iter().map(|(unit, _)| *unit).collect();
        units.dedup();
        units
    }

    #[test]
    fn nothing_is_asked_before_it_can_be_there() {
        let now = Instant::now();
        let mut forwards = forwards(now, 1);
        assert_eq!(forwards.next_question(), Some(now + SETTLE));
        assert!(forwards.questions(now, 100).is_empty());
        assert_eq!(forwards.questions(now + SETTLE, 100).len(), 10);
    }

    #[test]
    fn the_oldest_and_others_in_turn_are_asked_about() {
        let mut now = Instant::now();
        let mut forwards = forwards(now, 7);
        let mut asked = Vec::new();
        for _ in 0..4 {
            now += LONG * 2;
            asked.push(units(&forwards.questions(now, 40)));
            forwards.answered(now);
        }
        assert_eq!(asked, [vec![1, 2, 3, 4], vec![1, 2, 5, 6], vec![1, 2, 7], vec![1, 2, 3, 4]]);
    }

    #[test]
    fn questions_slow_down_while_answers_bring_nothing_and_not_otherwise() {
        let start = Instant::now();
        let mut forwards = forwards(start, 50);
        let mut now = start + SETTLE;
        let mut pauses = Vec::new();
        for round in 0..8 {
            let asked = forwards.questions(now, 20);
            assert_eq!(asked.len(), 20);
            if round == 7 {
                for (unit, place) in asked {
                    forwards.settle(unit, place);
                }
            }
            forwards.answered(now);
            let next = forwards.next_question().expect("units are open");
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 0]);
    }

    #[test]
    fn only_what_was_overtaken_long_enough_ago_is_lost() {
        let now = Instant::now();
        let mut forwards = forwards(now, 5);
        let overtaken = Some(Loss::Dropped);
        assert_eq!(forwards.loss(now + PASSED * 10, 1), None, "nothing was confirmed");
        forwards.confirm(now, 3);
        assert_eq!(forwards.loss(now + PASSED, 2), None);
        let later = now + PASSED + GRAIN;
        assert_eq!([1, 2, 3, 4].map(|unit| forwards.loss(later, unit)), [overtaken, overtaken, None, None]);
        forwards.confirm(later, 5);
        assert_eq!(forwards.loss(later + PASSED, 4), None);
        assert_eq!(forwards.loss(later + PASSED + GRAIN, 4), overtaken);
    }

    #[test]
    fn what_is_missing_from_its_queue_is_lost_and_asked_about_at_once() {
        let now = Instant::now();
        let mut forwards = forwards(now, 3);
        let asked = now + SETTLE;
        forwards.questions(asked, 100);
        forwards.answered(asked);
        assert!(forwards.next_question() > Some(asked));
        forwards.missing(&[2, 9], Loss::Missing);
        assert!(forwards.next_question() <= Some(asked));
        assert_eq!([1, 2, 3].map(|unit| forwards.loss(asked, unit)), [None, Some(Loss::Missing), None]);
    }

    #[test]
    fn settled_units_are_forgotten_and_numbers_go_on() {
        let mut forwards = forwards(Instant::now(), 2);
        (10..20).for_each(|place| forwards.settle(1, place));
        assert_eq!([1, 2].map(|unit| forwards.is_open(unit)), [false, true]);
        let renewed = forwards.renewed();
        assert_eq!((renewed.is_open(2), renewed.next_unit()), (false, 3));
    }
}

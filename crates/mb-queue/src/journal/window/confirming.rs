//! The window towards the store: what is asked, what the answers change, and what lies in another queue meanwhile.

use std::time::Instant;

use mb_core::MessageId;

use super::{Loss, REFUSALS, REFUSED_FOR, Seq, Slot, State, Tag, Window};
use crate::journal::aside::Aside;

impl Window {
    /// The entries of these leases are in another queue now, as one unit; whose lease is over is claimable as before. The
    /// number that the unit has from now on.
    pub(crate) fn forwarded(&mut self, now: Instant, tags: &[Tag]) -> u64 {
        let unit = self.forwards.next_unit();
        let mut places = Vec::with_capacity(tags.len());
        for tag in tags {
            if let Some(slot) = self.slot(tag.place).filter(|slot| slot.state == State::Leased(tag.lease)) {
                slot.state = State::Forwarded(unit);
                places.push(tag.place);
                self.leases.give_back(tag.lease);
            }
        }
        self.forwards.add(now, places);
        unit
    }

    /// These units are no longer in the queue that they were put into. Either they were dealt with, then the store has
    /// their entries, or they are lost; the next question about them tells.
    pub(crate) fn missing(&mut self, units: &[u64], loss: Loss) {
        self.forwards.missing(units, loss);
    }

    /// Whether a unit is not settled.
    pub(crate) fn is_open(&self, unit: u64) -> bool {
        self.forwards.is_open(unit)
    }

    /// When there is something to ask by itself.
    pub(crate) fn next_question(&self) -> Option<Instant> {
        self.forwards.next_question()
    }

    /// The next entries to ask the store about, oldest question first. Those of the last call that got no answer come first,
    /// those that are in another queue last.
    pub(crate) fn questions(&mut self, now: Instant, max: usize) -> Vec<(Seq, MessageId)> {
        for place in std::mem::take(&mut self.asked).into_iter().rev() {
            if self.slot(place).is_some_and(|slot| slot.asked) {
                self.to_ask.push_front(place);
            }
        }
        let mut questions = Vec::with_capacity(max.min(self.to_ask.len()));
        while questions.len() < max {
            let Some(place) = self.to_ask.pop_front() else { break };
            let Some(slot) = self.slots.get(place).filter(|slot| slot.is_question()) else {
                continue;
            };
            slot.asked = true;
            questions.push((Seq(place), slot.entry.id));
            self.asked.push(place);
        }
        for (unit, place) in self.forwards.questions(now, max - questions.len()) {
            let Some(slot) = self.slots.get(place) else { continue };
            if slot.state == State::Forwarded(unit) && !slot.asked {
                slot.asked = true;
                questions.push((Seq(place), slot.entry.id));
                self.asked.push(place);
            }
        }
        questions
    }

    /// All that was asked about is answered.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.forwards.answered(now);
    }

    /// The store's answer about one entry.
    pub(crate) fn answer(&mut self, now: Instant, (seq, id): (Seq, MessageId), lacking: bool) {
        let reforward_after = self.limits.reforward_after;
        let Some(slot) = self.slot(seq.0).filter(|slot| slot.entry.id == id) else { return };
        slot.asked = false;
        let may_go_again = slot.claimed.is_none_or(|claimed| claimed + reforward_after <= now);
        match slot.state {
            State::Confirmed | State::Aside(_) => {}
            State::Forwarded(unit) if !lacking => {
                self.forwards.confirm(now, unit);
                self.settle(seq.0);
            }
            State::Forwarded(unit) => {
                if may_go_again && let Some(loss) = self.forwards.loss(now, unit) {
                    self.forwards.settle(unit, seq.0);
                    if loss == Loss::Missing || !self.refuse(now, seq.0) {
                        self.make_ready(seq.0);
                    }
                }
            }
            _ if !lacking => self.settle(seq.0),
            State::Unknown => self.make_ready(seq.0),
            State::Acked => {
                let again_at = slot.claimed.map(|claimed| claimed + reforward_after);
                slot.state = State::Delayed;
                if !self.refuse(now, seq.0)
                    && let Some(at) = again_at
                {
                    self.delayed.insert((at, seq.0));
                }
            }
            State::Ready | State::Leased(_) | State::Delayed => {}
        }
    }

    /// Counts that the store lacks an entry that a worker was done with; whether it is to be set aside for that.
    fn refuse(&mut self, now: Instant, place: u64) -> bool {
        let Some(slot) = self.slot(place) else { return false };
        if !slot.is_refused_for_good(now) {
            return false;
        }
        slot.state = State::Aside(Aside::Refused);
        self.aside.push((Aside::Refused, place));
        true
    }

    fn make_ready(&mut self, place: u64) {
        if let Some(slot) = self.slot(place) {
            slot.state = State::Ready;
            self.ready.push_back(place);
        }
    }

    /// An entry needs nothing more: the store has it, it was set aside, or it cannot be read any more.
    pub(crate) fn settle(&mut self, place: u64) {
        let Some(slot) = self.slot(place) else { return };
        let before = std::mem::replace(&mut slot.state, State::Confirmed);
        let len = u64::from(slot.entry.len);
        let freed = slot.entry.bytes.take().map_or(0, |bytes| bytes.len() as u64);
        self.resident -= freed;
        match before {
            State::Leased(lease) => self.leases.give_back(lease),
            State::Forwarded(unit) => self.forwards.settle(unit, place),
            _ => {}
        }
        if before == State::Confirmed {
            return;
        }
        self.open -= 1;
        self.bytes -= len;
        self.slots.trim(place);
    }
}

impl Slot {
    fn is_refused_for_good(&mut self, now: Instant) -> bool {
        self.refusals += 1;
        let first = *self.first_refused.get_or_insert(now);
        self.refusals >= REFUSALS && now.saturating_duration_since(first) >= REFUSED_FOR
    }
}

//! The live end of the journal: the window under its lock, and who waits for it.
//!
//! While workers keep up, the writer puts each durable entry straight into the window and nothing is read back. When the
//! window is full it stops doing so, and the cursor reads on from there as room appears, until it has caught up again. So
//! a backlog costs disk, not memory.
//!
//! Lock order: the hand-over before the table before a segment's marks.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mb_core::{MessageId, Timestamp};
use tokio::sync::Notify;

use super::aside::Aside;
use super::cursor::{Cursor, Job, Progress};
use super::segment::Segment;
use super::table::{Kept, Table};
use super::watermark::{Epoch, Watermark};
use super::window::{Limits, Loaded, Loss, Seq, Tag, Taken, Window};

/// See the module.
#[derive(Debug)]
pub(crate) struct Handover {
    state: Mutex<State>,
    /// Wakes the cursor's thread.
    cursor_bell: Condvar,
    /// Wakes those who wait for claimable entries.
    ready: Notify,
    /// Wakes the one who asks the store.
    questions: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    cursor: Option<Cursor>,
    /// The window reaches up to the last durable entry, so the writer adds to it directly.
    live: bool,
    /// Durable entries behind the window.
    behind: u64,
    epoch: Option<Epoch>,
    /// Entries below were handed over before, so the store is asked about them first.
    unknown_below: u64,
    /// Changes with every rewind, so that what the cursor read before it is dropped.
    generation: u64,
    closed: bool,
}

/// What a recovered journal hands over first.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) watermark: Watermark,
    /// The segment that holds the watermark.
    pub(crate) segment: Option<Arc<Segment>>,
    pub(crate) waiting: u64,
    /// The sequence after the last one found.
    pub(crate) next_seq: u64,
}

/// What a waiting claim finds.
pub(crate) enum Claimable {
    Entries(Vec<Taken>),
    /// Nothing yet; something becomes claimable by itself then.
    WaitUntil(Option<Instant>),
    Closed,
}

/// What whoever asks the store finds.
pub(crate) enum Questions {
    About(Vec<(Seq, MessageId)>),
    /// Nothing yet; something has to be asked by itself then.
    WaitUntil(Option<Instant>),
    Closed,
}

impl Handover {
    pub(crate) fn new(limits: Limits, start: Start) -> Self {
        let cursor = start.segment.map(|segment| Cursor::at_start(&segment));
        let state = State {
            window: Window::new(limits, start.watermark.seq),
            live: cursor.is_none(),
            cursor,
            behind: start.waiting,
            epoch: start.watermark.epoch,
            unknown_below: start.next_seq,
            generation: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), cursor_bell: Condvar::new(), ready: Notify::new(), questions: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a group that just became durable. `end` and `next_seq` are the segment's after it. Returns how many
    /// entries were unconfirmed before it. Nobody is told of it before [`Handover::announce`].
    pub(crate) fn publish(&self, group: &Published<'_>, entries: impl ExactSizeIterator<Item = Loaded>) -> u64 {
        let mut state = self.lock();
        {
            let mut marks = group.segment.marks();
            marks.end = group.end;
            marks.next_seq = group.next_seq;
        }
        let depth = state.depth();
        let mut left = entries.len() as u64;
        for entry in entries {
            if state.live && !state.window.has_room() {
                state.live = false;
                state.window.skip_to(entry.seq);
                state.cursor = Some(Cursor::inside(group.segment, group.start));
            }
            if !state.live {
                state.behind += left;
                break;
            }
            left -= 1;
            state.window.load(entry, false);
        }
        depth
    }

    /// Tells those who wait what was published.
    pub(crate) fn announce(&self) {
        self.wake(&self.lock());
    }

    fn wake(&self, state: &State) {
        if state.window.has_ready() {
            self.ready.notify_one();
        }
        if state.window.has_questions() {
            self.questions.notify_one();
        }
        if !state.live && state.window.has_room() {
            self.cursor_bell.notify_one();
        }
    }

    /// What the cursor is to read next; waits until there is room for it. `None` when the journal closes.
    pub(crate) fn next_job(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if !state.live
                && state.window.has_room()
                && let Some(cursor) = state.cursor.clone()
            {
                let limit = cursor.segment.marks().end;
                let (entries, bytes) = state.window.room();
                let next_seq = state.window.next_seq();
                return Some(Job { cursor, limit, entries, bytes, next_seq, generation: state.generation });
            }
            state = self.cursor_bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes over what the cursor read.
    pub(crate) fn load(&self, job: &Job, progress: Progress, table: &Table) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.generation != job.generation {
            return;
        }
        let mut passed = progress.lost;
        for entry in progress.entries {
            passed += 1;
            let is_unknown = entry.seq < state.unknown_below;
            state.window.load(entry, is_unknown);
        }
        state.behind = state.behind.saturating_sub(passed);
        let segment = &progress.cursor.segment;
        if progress.at_limit && segment.marks().end == job.limit {
            state.window.skip_to(segment.marks().next_seq);
            state.cursor = table.after(segment.first_seq()).map(|next| Cursor::at_start(&next));
            if state.cursor.is_none() {
                state.live = true;
                state.behind = 0;
            }
        } else {
            state.cursor = Some(progress.cursor);
        }
        self.wake(state);
    }

    /// Takes claimable entries, or says how long there are none. Those accepted before `horizon` go aside.
    pub(crate) fn claim(&self, now: Instant, entries: usize, bytes: u64, horizon: Timestamp) -> Claimable {
        let mut state = self.lock();
        if state.closed {
            return Claimable::Closed;
        }
        let taken = state.window.claim(now, entries, bytes, horizon);
        if taken.is_empty() {
            return Claimable::WaitUntil(state.window.next_deadline());
        }
        if state.window.has_ready() {
            self.ready.notify_one();
        }
        Claimable::Entries(taken)
    }

    /// Resolves when something may be claimable.
    pub(crate) fn ready(&self) -> tokio::sync::futures::Notified<'_> {
        self.ready.notified()
    }

    /// Resolves when there may be a question.
    pub(crate) fn asking(&self) -> tokio::sync::futures::Notified<'_> {
        self.questions.notified()
    }

    pub(crate) fn ack(&self, tags: &[Tag]) {
        let mut state = self.lock();
        for tag in tags {
            state.window.ack(*tag);
        }
        self.wake(&state);
    }

    /// Under another epoch than the known one the answer is worth no more than an ack: the question that follows shows
    /// the new epoch to whoever asks it, and he rewinds.
    pub(crate) fn ack_present(&self, epoch: Epoch, tags: &[Tag]) {
        let mut state = self.lock();
        let is_known = *state.epoch.get_or_insert(epoch) == epoch;
        for tag in tags {
            if is_known { state.window.ack_present(*tag) } else { state.window.ack(*tag) }
        }
        self.wake(&state);
    }

    pub(crate) fn nack(&self, tags: &[Tag]) {
        let mut state = self.lock();
        for tag in tags {
            state.window.nack(*tag);
        }
        self.wake(&state);
    }

    /// Entries whose frames turned out to be damaged need nothing more; likewise those that were set aside.
    pub(crate) fn settle(&self, places: impl Iterator<Item = u64>) {
        let mut state = self.lock();
        places.for_each(|place| state.window.settle(place));
        self.wake(&state);
    }

    /// Entries that were claimed are in another queue now. The number of the unit that they make there.
    pub(crate) fn forwarded(&self, now: Instant, tags: &[Tag]) -> u64 {
        let unit = self.lock().window.forwarded(now, tags);
        self.questions.notify_one();
        unit
    }

    /// See [`Window::missing`].
    pub(crate) fn missing(&self, units: &[u64], loss: Loss) {
        self.lock().window.missing(units, loss);
        self.questions.notify_one();
    }

    /// Those of the units that are not settled.
    pub(crate) fn open_units(&self, units: &[u64]) -> Vec<u64> {
        let state = self.lock();
        units.iter().copied().filter(|unit| state.window.is_open(*unit)).collect()
    }

    /// The next entries to ask the store about, or when there are some by themselves.
    pub(crate) fn questions(&self, now: Instant, max: usize) -> Questions {
        let mut state = self.lock();
        if state.closed {
            return Questions::Closed;
        }
        let questions = state.window.questions(now, max);
        if questions.is_empty() {
            return Questions::WaitUntil(state.window.next_question());
        }
        Questions::About(questions)
    }

    /// The store's answer. An epoch that differs from the known one means that the store's history is another: everything
    /// still here is offered again, and the answer is not used.
    pub(crate) fn confirm(
        &self,
        epoch: Epoch,
        asked: &[(Seq, MessageId)],
        lacking: &HashSet<MessageId>,
        table: &Table,
    ) -> Confirmed {
        let mut state = self.lock();
        let known = *state.epoch.get_or_insert(epoch);
        if known == epoch {
            let now = tokio::time::Instant::now().into_std();
            for (seq, id) in asked {
                state.window.answer(now, (*seq, *id), lacking.contains(id));
            }
            state.window.answered(now);
            self.wake(&state);
            return Confirmed::Taken;
        }
        state.epoch = Some(epoch);
        state.unknown_below = state.unknown_below.max(state.window.next_seq());
        state.generation += 1;
        let segments = table.all();
        if let Some(oldest) = segments.first() {
            state.window.rewind(oldest.first_seq());
            state.live = false;
            state.cursor = Some(Cursor::at_start(oldest));
            state.behind = segments.iter().map(|segment| segment.marks().next_seq - segment.first_seq()).sum();
            for segment in &segments {
                segment.marks().kept_since = None;
            }
        }
        self.wake(&state);
        Confirmed::Rewound
    }

    /// Watermark and epoch as they belong together.
    pub(crate) fn watermark(&self) -> Watermark {
        let state = self.lock();
        Watermark { seq: state.window.watermark(), epoch: state.epoch }
    }

    /// What is confirmed and still here.
    pub(crate) fn kept(&self, table: &Table) -> Kept {
        let state = self.lock();
        table.kept(|first, next| state.window.is_settled(first, next))
    }

    /// Takes the oldest segment out of the table if it is confirmed and `unwanted` says so; never while a rewind decides.
    pub(crate) fn drop_oldest_kept(
        &self,
        table: &Table,
        unwanted: impl FnOnce(&Segment) -> bool,
    ) -> Option<Arc<Segment>> {
        let state = self.lock();
        table.take_oldest_kept(|first, next| state.window.is_settled(first, next), unwanted)
    }

    pub(crate) fn take_aside(&self, reason: Aside) -> Vec<Taken> {
        self.lock().window.take_aside(reason)
    }

    pub(crate) fn put_back_aside(&self, reason: Aside, places: impl Iterator<Item = u64>) {
        self.lock().window.put_back_aside(reason, places);
    }

    /// Unconfirmed entries, and when the oldest of them was accepted.
    pub(crate) fn depth(&self) -> (u64, Option<Timestamp>) {
        let state = self.lock();
        (state.depth(), state.window.oldest())
    }

    /// Unconfirmed entries that are in the window.
    pub(crate) fn open(&self) -> u64 {
        self.lock().window.open()
    }

    /// Ends the cursor's thread and every wait.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.cursor_bell.notify_all();
        for bell in [&self.ready, &self.questions] {
            bell.notify_waiters();
            bell.notify_one();
        }
    }
}

/// A group that just became durable.
pub(crate) struct Published<'a> {
    pub(crate) segment: &'a Arc<Segment>,
    /// Where it starts.
    pub(crate) start: u64,
    /// Where it ends.
    pub(crate) end: u64,
    pub(crate) next_seq: u64,
}

/// What became of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Confirmed {
    Taken,
    Rewound,
}

impl State {
    fn depth(&self) -> u64 {
        self.window.open() + self.behind
    }
}

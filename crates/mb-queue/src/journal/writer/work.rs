//! A call that the writer is working on: what of it is left to write, and what was decided so far.

use std::collections::VecDeque;

use crate::error::{AppendError, AppendFailed};
use crate::journal::Appended;
use crate::journal::inbox::{Call, Incoming, ManyReply, OneReply};

/// A large call may need several groups; it is answered when the last one is durable.
pub(super) struct Work {
    parts: Parts,
    /// How many of its entries the present group decides.
    in_group: usize,
}

/// A single entry needs no lists.
enum Parts {
    One { entry: Option<Incoming>, done: Option<Appended>, reply: OneReply },
    Many { entries: VecDeque<Incoming>, done: Vec<Appended>, reply: ManyReply },
}

impl Work {
    pub(super) fn new(call: Call) -> Self {
        let parts = match call {
            Call::One(entry, reply) => Parts::One { entry: Some(entry), done: None, reply },
            Call::Many(entries, reply) => {
                Parts::Many { done: Vec::with_capacity(entries.len()), entries: entries.into(), reply }
            }
        };
        Self { parts, in_group: 0 }
    }

    /// The next entry that no group has taken.
    pub(super) fn front(&self) -> Option<&Incoming> {
        match &self.parts {
            Parts::One { entry, .. } => entry.as_ref(),
            Parts::Many { entries, .. } => entries.front(),
        }
    }

    /// Takes it into the present group.
    pub(super) fn take(&mut self) -> Option<Incoming> {
        let entry = match &mut self.parts {
            Parts::One { entry, .. } => entry.take(),
            Parts::Many { entries, .. } => entries.pop_front(),
        };
        self.in_group += usize::from(entry.is_some());
        entry
    }

    pub(super) fn is_in_group(&self) -> bool {
        self.in_group > 0
    }

    /// The present group was decided: these are the outcomes of the entries that it took, in order.
    pub(super) fn settle(&mut self, outcomes: &mut impl Iterator<Item = Appended>) {
        let outcomes = outcomes.by_ref().take(std::mem::take(&mut self.in_group));
        match &mut self.parts {
            Parts::One { done, .. } => *done = outcomes.last(),
            Parts::Many { done, .. } => done.extend(outcomes),
        }
    }

    /// Tells the caller, who may have gone away.
    pub(super) fn answer(self) {
        match self.parts {
            Parts::One { done: Some(done), reply, .. } => drop(reply.send(Ok(done))),
            Parts::One { done: None, reply, .. } => drop(reply.send(Err(AppendError::Failed))),
            Parts::Many { done, reply, .. } => drop(reply.send(Ok(done))),
        }
    }

    pub(super) fn refuse(self, error: AppendError) {
        match self.parts {
            Parts::One { reply, .. } => drop(reply.send(Err(error))),
            // Earlier groups of the call are durable, so their entries are answered as what they are.
            Parts::Many { done, reply, .. } => drop(reply.send(Err(AppendFailed { done, error }))),
        }
    }
}

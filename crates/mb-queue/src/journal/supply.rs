//! The segment that is prepared ahead, and its hand-over to the writer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::segment::Segment;
use super::table::Table;
use crate::error::AppendError;

/// Where the keeper puts the next segment and the writer takes it.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: Option<Arc<Segment>>,
    refused: Option<AppendError>,
    /// The writer stands still until there is one.
    awaited: bool,
    /// The writer has taken one before.
    used: bool,
    closed: bool,
}

impl Supply {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next segment, entered into the table; waits only while one is being made for the first time.
    pub(crate) fn take(&self, table: &Table) -> Result<Arc<Segment>, AppendError> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.next.take() {
                state.used = true;
                table.push(Arc::clone(&next));
                return Ok(next);
            }
            if let Some(refused) = state.refused {
                return Err(refused);
            }
            if state.closed {
                return Err(AppendError::Closed);
            }
            state.awaited = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.awaited = false;
        }
    }

    /// Whether the writer has taken the last one.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().next.is_none()
    }

    /// Whether the writer waits for the next one.
    pub(crate) fn is_awaited(&self) -> bool {
        self.lock().awaited
    }

    /// Whether the writer has taken any, so that the next one is made ahead of need.
    pub(crate) fn has_been_used(&self) -> bool {
        self.lock().used
    }

    /// Why there is none.
    pub(crate) fn refused(&self) -> Option<AppendError> {
        self.lock().refused
    }

    /// Bytes of the one that waits here.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().next.as_ref().map_or(0, |next| next.header.capacity)
    }

    pub(crate) fn put(&self, made: Result<Segment, AppendError>) {
        let mut state = self.lock();
        match made {
            Ok(segment) => {
                state.next = Some(Arc::new(segment));
                state.refused = None;
            }
            Err(error) => state.refused = Some(error),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more will be made; gives back what was not used.
    pub(crate) fn close(&self) -> Option<Arc<Segment>> {
        let mut state = self.lock();
        state.closed = true;
        let unused = state.next.take();
        drop(state);
        self.changed.notify_all();
        unused
    }
}

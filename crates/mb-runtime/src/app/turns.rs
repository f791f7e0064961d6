//! How many requests are in work at once, and whose they may be.
//!
//! One bound for all would let any of them keep out the others: who waits for messages, or sends the body of a sign-in byte
//! by byte, would keep out the operator who wants to end just that. So waiting takes no turn and has a bound of its own,
//! operators and the system's own components have turns that nobody else gets, and who needs to show nothing has few.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::observe::Routes;

/// So many times as many may wait as may be in work.
const WAITING: usize = 4;

/// Which routes are what; none is what a route is by default.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sharing {
    /// Where requests wait until something happens.
    pub waiting: &'static [&'static str],
    /// What operators and the system's own components ask for, by how the routes begin.
    pub kept: &'static [&'static str],
    /// What anybody may ask for without showing anything first, and with a body.
    pub open: &'static [&'static str],
}

/// What a route is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// Health and metrics: a process that is busy is not dead.
    Vital,
    Waiting {
        kept: bool,
    },
    Kept,
    Open,
    Other,
}

/// The requests in work.
#[derive(Debug)]
pub(super) struct Turns {
    classes: Vec<Class>,
    /// What of the bound is kept from the others, as its divisor; none is.
    kept: Option<usize>,
    bound: AtomicUsize,
    in_work: AtomicUsize,
    waiting: AtomicUsize,
    open: AtomicUsize,
}

impl Turns {
    pub(super) fn new(routes: &Routes, sharing: Sharing, bound: usize) -> Self {
        let class = |(template, vital): (&'static str, bool)| {
            let kept = sharing.kept.iter().any(|begin| template.starts_with(begin));
            if vital {
                Class::Vital
            } else if sharing.waiting.contains(&template) {
                Class::Waiting { kept }
            } else if kept {
                Class::Kept
            } else if sharing.open.contains(&template) {
                Class::Open
            } else {
                Class::Other
            }
        };
        Self {
            classes: routes.templates().map(class).collect(),
            kept: (!sharing.kept.is_empty()).then_some(4),
            bound: AtomicUsize::new(bound),
            in_work: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        }
    }

    /// How many are in work; who waits is not.
    pub(super) fn in_work(&self) -> usize {
        self.in_work.load(Ordering::Relaxed)
    }

    pub(super) fn set_bound(&self, most: usize) {
        self.bound.store(most, Ordering::Relaxed);
    }

    /// A turn for a request of this route; `None` if there is none left.
    pub(super) fn take(self: &Arc<Self>, route: usize) -> Option<Turn> {
        let class = self.classes[route];
        let most = self.bound.load(Ordering::Relaxed);
        let share = self.kept.map_or(0, |part| most / part);
        let turn = Turn { turns: Arc::clone(self), class };
        let before = turn.count().fetch_add(1, Ordering::Relaxed);
        // Counted twice: among all, and among those who have shown nothing.
        let open = if class == Class::Open { self.open.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let granted = match class {
            Class::Vital => true,
            Class::Kept => before < most,
            Class::Other => before < most - share,
            Class::Waiting { kept: true } => before < most * WAITING,
            Class::Waiting { kept: false } => before < (most - share) * WAITING,
            Class::Open => before < most - share && open < share.max(1),
        };
        granted.then_some(turn)
    }
}

/// A request in work; counted out however it ends.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    class: Class,
}

impl Turn {
    fn count(&self) -> &AtomicUsize {
        if let Class::Waiting { .. } = self.class { &self.turns.waiting } else { &self.turns.in_work }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.count().fetch_sub(1, Ordering::Relaxed);
        if self.class == Class::Open {
            self.turns.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

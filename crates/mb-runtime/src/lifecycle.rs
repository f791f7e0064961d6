//! Start, failure and stop of a process, in one place.
//!
//! All work runs on this tracker, so nothing outlives the process unseen. Stopping has two phases: *soft* ends intake
//! and lets work in progress finish; *hard*, a bounded time later, cuts what is left. What writes down what all others did
//! is told when they have ended, and has a moment then. A critical task that ends before a stop was asked for takes the
//! process down: a proxy whose journal writer is gone must not look alive.

mod signal;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::RuntimeError;
use crate::logging;

pub use signal::{Hangups, Signals};

/// From the soft stop to the hard one.
pub const SOFT: Duration = Duration::from_secs(6);
/// From the hard stop to giving up. With [`SOFT`] it leaves 3 of the 10 seconds in which a process shall be gone: for
/// closing journal and store.
pub const HARD: Duration = Duration::from_secs(1);
/// How long what ends after all others has for it, out of those 3 seconds.
pub const LAST: Duration = Duration::from_secs(1);

/// What the end of a task means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Criticality {
    /// Without it the process is useless: its end stops the process.
    Critical,
    /// Its end is part of normal work.
    Ordinary,
}

/// A process's lifecycle. Clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    /// Of what ends after all that [`Inner::tracker`] holds.
    last: TaskTracker,
    drained: CancellationToken,
    over: CancellationToken,
    /// From the signal to the soft stop.
    drain_delay: Duration,
    leaving: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
    /// The first critical task that died.
    failed: Mutex<Option<&'static str>>,
}

impl Lifecycle {
    /// A lifecycle that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that goes on working for `drain_delay` after a signal while [`Lifecycle::leaving`] is said already, so that load
    /// balancers look elsewhere first.
    pub fn with_drain_delay(drain_delay: Duration) -> Self {
        Self { inner: Arc::new(Inner { drain_delay, ..Inner::default() }) }
    }

    /// Runs `future`, as the component that calls, until it ends or the hard stop. `name` appears in the log and in the exit's reason.
    pub fn spawn<F>(&self, name: &'static str, criticality: Criticality, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let end = End { lifecycle: self.clone(), name, criticality };
        // A token of its own: polling it takes a lock that no other task shares.
        let hard = self.inner.hard.child_token();
        self.track(async move {
            let _end = end;
            hard.run_until_cancelled_owned(future).await;
        });
    }

    /// Runs `future` beyond all that [`Lifecycle::spawn`] runs: [`Lifecycle::drained`] tells it that nothing else works any
    /// more, and it has [`LAST`] from then on.
    pub fn spawn_last<F>(&self, name: &'static str, criticality: Criticality, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let end = End { lifecycle: self.clone(), name, criticality };
        let over = self.inner.over.child_token();
        self.inner.last.spawn(logging::inherited(async move {
            let _end = end;
            over.run_until_cancelled_owned(future).await;
        }));
    }

    /// Runs `future` as the component that calls, without watching for the hard stop, which it must do itself.
    pub(crate) fn track<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.inner.tracker.spawn(logging::inherited(future));
    }

    /// Cancelled when nobody should be sent here any more; intake still works. A token of its own.
    pub fn leaving(&self) -> CancellationToken {
        self.inner.leaving.child_token()
    }

    /// Cancelled when intake must end. A token of its own; cancelling it stops nobody else.
    pub fn soft(&self) -> CancellationToken {
        self.inner.soft.child_token()
    }

    /// Cancelled when work in progress must end too. A token of its own, as [`Lifecycle::soft`].
    pub fn hard(&self) -> CancellationToken {
        self.inner.hard.child_token()
    }

    /// Cancelled when all work but that of [`Lifecycle::spawn_last`] has ended. A token of its own, as [`Lifecycle::soft`].
    pub fn drained(&self) -> CancellationToken {
        self.inner.drained.child_token()
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.inner.soft.is_cancelled()
    }

    /// Asks for a stop: begins the soft phase. [`Lifecycle::drain`] waits for its end.
    pub fn stop(&self) {
        self.inner.leaving.cancel();
        self.inner.soft.cancel();
    }

    /// Asks for a stop as a signal does: the drain delay passes first. For who is told to end in another way than by a signal.
    pub fn leave(&self) {
        self.inner.leaving.cancel();
    }

    /// Ends the soft phase now.
    pub(crate) fn cut(&self) {
        self.inner.hard.cancel();
    }

    /// Records that the process cannot go on and asks for a stop.
    pub fn fail(&self, name: &'static str) {
        self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(name);
        self.stop();
    }

    /// Waits for SIGINT or SIGTERM (Windows: Ctrl-C, Ctrl-Break, close, shutdown), or for [`Lifecycle::leave`].
    ///
    /// # Errors
    /// [`RuntimeError::Signal`] if signals cannot be received.
    pub async fn wait_for_signal(&self) -> Result<(), RuntimeError> {
        self.reason(&mut Signals::new().map_err(RuntimeError::Signal)?).await;
        Ok(())
    }

    async fn reason(&self, signals: &mut Signals) {
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "stopping"),
            () = self.inner.leaving.cancelled() => {}
        }
    }

    /// Stops: soft, then after [`SOFT`] hard, then what ends last; returns when all tasks have ended, or [`HARD`] and
    /// [`LAST`] have passed as well.
    ///
    /// # Errors
    /// [`RuntimeError::CriticalTask`] if it was such a task's end that led here.
    pub async fn drain(&self) -> Result<(), RuntimeError> {
        self.stop();
        self.inner.tracker.close();
        if tokio::time::timeout(SOFT, self.inner.tracker.wait()).await.is_err() {
            tracing::warn!(tasks = self.inner.tracker.len(), "work in progress is cut off");
        }
        self.cut();
        if tokio::time::timeout(HARD, self.inner.tracker.wait()).await.is_err() {
            tracing::error!(tasks = self.inner.tracker.len(), "tasks did not end");
        }
        self.inner.drained.cancel();
        self.inner.last.close();
        if tokio::time::timeout(LAST, self.inner.last.wait()).await.is_err() {
            tracing::error!(tasks = self.inner.last.len(), "tasks did not end");
        }
        self.inner.over.cancel();
        match *self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(name) => Err(RuntimeError::CriticalTask(name)),
            None => Ok(()),
        }
    }

    /// Waits for a reason to stop, then stops. A second signal cuts the drain delay or the soft phase short.
    ///
    /// # Errors
    /// As [`Lifecycle::wait_for_signal`] and [`Lifecycle::drain`].
    pub async fn run(&self) -> Result<(), RuntimeError> {
        self.run_on(Signals::new().map_err(RuntimeError::Signal)?).await
    }

    /// The same with signals that were listened to since before: what came meanwhile counts.
    ///
    /// # Errors
    /// As [`Lifecycle::drain`].
    pub async fn run_on(&self, mut signals: Signals) -> Result<(), RuntimeError> {
        self.reason(&mut signals).await;
        self.inner.leaving.cancel();
        if !self.is_stopping() && !self.inner.drain_delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.inner.drain_delay) => {}
                () = self.inner.soft.cancelled() => {}
                _ = signals.next() => {}
            }
        }
        let mut drain = std::pin::pin!(self.drain());
        tokio::select! {
            result = &mut drain => return result,
            name = signals.next() => {
                tracing::warn!(signal = name, "stopping at once");
                self.cut();
            }
        }
        drain.await
    }
}

/// Sees a task's end, however it comes: by returning, by panicking, or cut off.
struct End {
    lifecycle: Lifecycle,
    name: &'static str,
    criticality: Criticality,
}

impl Drop for End {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if self.criticality == Criticality::Critical && !self.lifecycle.is_stopping() {
            tracing::error!(task = self.name, panicked, "critical task ended");
            self.lifecycle.fail(self.name);
        } else if panicked {
            tracing::error!(task = self.name, "task panicked");
        }
    }
}

/// Lets hyper's own tasks (one per HTTP/2 stream) run on the tracker.
#[derive(Clone, Debug)]
pub(crate) struct Tracked(pub(crate) Lifecycle);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.track(future);
    }
}

/// A future on the heap.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[cfg(test)]
mod tests;

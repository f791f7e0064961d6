//! How many errors and warnings were logged, for the metrics: who watches them need not read the log to know that somebody
//! must.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

static ERRORS: AtomicU64 = AtomicU64::new(0);
static WARNINGS: AtomicU64 = AtomicU64::new(0);

/// Counts what passes the filter.
pub(super) struct Counted;

impl<S: Subscriber> Layer<S> for Counted {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        match *event.metadata().level() {
            Level::ERROR => ERRORS.fetch_add(1, Ordering::Relaxed),
            Level::WARN => WARNINGS.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// Lines of level error since the start of the process.
pub fn errors() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

/// Lines of level warn since the start of the process.
pub fn warnings() -> u64 {
    WARNINGS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn errors_and_warnings_are_counted_and_nothing_else() {
        // Other tests of this process may log, but not to this subscriber.
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Counted));
        let before = (errors(), warnings());
        tracing::error!("one");
        tracing::warn!("two");
        tracing::warn!("three");
        tracing::info!("not counted");
        drop(guard);
        assert_eq!((errors(), warnings()), (before.0 + 1, before.1 + 2));
    }
}

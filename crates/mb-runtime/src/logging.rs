//! Logs: on standard error, readable on a terminal and JSON lines anywhere else; and JSON lines in a file per component.
//!
//! Field names are fixed and dotted (`request.id client.id peer.addr duration_ms error`), the message is a constant
//! phrase, and neither bodies, numbers nor secrets are logged. A fault that repeats thousands of times a second must not
//! fill the disk or the CPU: [`limited`] lets it through once a second, with a count of the rest.

mod component;
mod counted;
mod files;
mod rolling;

use std::collections::HashMap;
use std::io::IsTerminal;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::error::RuntimeError;

pub use component::Component;
pub(crate) use component::{inherited, scope_of};
pub use counted::{errors, warnings};
pub use files::{LogFiles, Logs};

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Readable on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Readable.
    Text,
    /// One JSON object per line.
    Json,
}

type Lines = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The least level that is shown, which may be changed.
#[derive(Clone)]
pub struct Level(reload::Handle<Targets, Layered<Lines, Registry>>);

impl Level {
    /// From now on `level` is shown, in the words of [`init`].
    ///
    /// # Errors
    /// [`RuntimeError::Log`] if it is none.
    pub fn set(&self, level: &str) -> Result<(), RuntimeError> {
        let filter = targets(level)?;
        self.0.reload(filter).map_err(|error| RuntimeError::Log(error.to_string()))
    }
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Level")
    }
}

/// Starts logging for the whole process, panics included. `level` is `error|warn|info|debug|trace` or a list such as
/// `info,mb_proxy=debug`. A file that cannot be written stops nothing: standard error says so.
///
/// # Errors
/// [`RuntimeError::Log`] if the level is none or logging was started before.
pub fn init(level: &str, format: Format, files: Option<&LogFiles>) -> Result<(Logs, Level), RuntimeError> {
    let (filter, level) = reload::Layer::new(targets(level)?);
    let text = match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    };
    let mut layers: Lines = vec![if text {
        fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        json_lines(std::io::stderr)
    }];
    layers.push(counted::Counted.boxed());
    let logs = match files {
        Some(files) => {
            let (sink, logs) = files::start(files, rolling::Limits::STANDARD)?;
            layers.push(json_lines(sink));
            logs
        }
        None => Logs::none(),
    };
    tracing_subscriber::registry()
        .with(layers)
        .with(filter)
        .try_init()
        .map_err(|error| RuntimeError::Log(error.to_string()))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let error = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, thread = thread.name(), error, "panic");
    }));
    Ok((logs, Level(level)))
}

fn json_lines<W>(writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer).boxed()
}

/// The database's driver says for every connection of its pool that an outage broke it, and for every call that it waited:
/// all at once, and nothing that those who call it do not say themselves. Who looks closer or names it reads it all.
const DRIVER: &str = "sqlx";

/// The filter's own parser takes an unknown word for a module's name and would show everything of it.
fn targets(level: &str) -> Result<Targets, RuntimeError> {
    let is_level = |word: &str| !word.is_empty() && LevelFilter::from_str(word).is_ok();
    let wrong = || RuntimeError::Log(format!("{level:?} is no level: error, warn, info, debug, trace"));
    let part = |part: &str| match (part, part.split_once('=')) {
        ("warning", _) => Ok("warn".to_owned()),
        ("critical", _) => Ok("error".to_owned()),
        (_, Some((_, word))) | (word, None) if is_level(word) => Ok(part.to_owned()),
        _ => Err(wrong()),
    };
    let mut parts = level.to_lowercase().split(',').map(|text| part(text.trim())).collect::<Result<Vec<_>, _>>()?;
    if !parts.iter().any(|part| part.starts_with(DRIVER) || ["debug", "trace"].contains(&part.as_str())) {
        parts.push(format!("{DRIVER}=error"));
    }
    Targets::from_str(&parts.join(",")).map_err(|_| wrong())
}

/// Lets the same cause through at most once per period and counts the rest.
#[derive(Debug)]
pub struct Throttle {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl Throttle {
    /// A throttle that has let nothing through yet.
    pub fn new(period: Duration) -> Self {
        Self { period, state: Mutex::default() }
    }

    /// `Some` if it may be logged now, with the number of times it was held back since the last; `None` if not.
    pub fn admit(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.last.is_some_and(|last| now.duration_since(last) < self.period) {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }
}

/// Runs `log` at most once a second for each `cause`; says how many it held back. Causes are few and fixed.
pub fn limited(cause: &'static str, log: impl FnOnce()) {
    static CAUSES: LazyLock<Mutex<HashMap<&'static str, Throttle>>> = LazyLock::new(Mutex::default);
    let admitted = {
        let mut causes = CAUSES.lock().unwrap_or_else(PoisonError::into_inner);
        causes.entry(cause).or_insert_with(|| Throttle::new(Duration::from_secs(1))).admit()
    };
    if let Some(held_back) = admitted {
        log();
        if held_back > 0 {
            tracing::info!(cause, held_back, "the same was not logged each time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_repeated_cause_comes_through_once_a_period_with_a_count() {
        let throttle = Throttle::new(Duration::from_secs(1));
        assert_eq!(throttle.admit(), Some(0));
        assert_eq!((throttle.admit(), throttle.admit()), (None, None));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(throttle.admit(), Some(2));
        assert_eq!(throttle.admit(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn causes_do_not_hold_each_other_back() {
        let mut logged = Vec::new();
        for cause in ["a test's cause", "another test's cause", "a test's cause"] {
            limited(cause, || logged.push(cause));
        }
        assert_eq!(logged, ["a test's cause", "another test's cause"]);
    }

    #[test]
    fn a_wrong_level_is_refused() {
        for good in ["info", "DEBUG", "Warning", "info,mb_proxy=debug", "warn, mb_api=trace", "critical"] {
            assert!(targets(good).is_ok(), "{good}");
        }
        for bad in ["loud", "", "info,loud", "mb_proxy=loud", "info;debug"] {
            let error = targets(bad).expect_err("no level");
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}

//! What a running process tells whoever started it: that its start goes on, that it is up, that it lives, that it ends.
//!
//! Up means that the start succeeded: the process works, or waits for what others make (a database, certificates). Were
//! waiting a part of the start, services that are started after it would not be started, and a proxy must accept while the
//! main server waits for its database. The word that it lives comes from the same reactor as all work: one that hangs is silent.

use std::sync::Arc;
use std::time::Duration;

use mb_runtime::{Criticality, Lifecycle};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::starter::{Phase, Starter};

/// How often a start that goes on is told of.
const BEAT: Duration = Duration::from_secs(5);
/// What may pass between two such words; a busy disk must not look like a hanging start.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long an end takes after the drain delay: the lifecycle's phases, closing, and room.
const ENDING: Duration = Duration::from_secs(20);

/// The way to whoever started this process. Clones are the same way.
#[derive(Clone, Debug)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    starter: Starter,
    /// What is to be said of a start that is over.
    up: watch::Sender<Option<&'static str>>,
}

impl Supervisor {
    /// Nobody, or systemd where the environment names its socket.
    pub fn of_environment() -> Self {
        #[cfg(unix)]
        let starter =
            super::starter::socket::Socket::of(crate::config::environment).map_or(Starter::Nobody, Starter::Systemd);
        #[cfg(not(unix))]
        let starter = Starter::Nobody;
        Self::of(starter)
    }

    pub(super) fn of(starter: Starter) -> Self {
        Self { inner: Arc::new(Inner { starter, up: watch::Sender::new(None) }) }
    }

    /// The start is over, and this process works.
    pub fn ready(&self) {
        self.inner.up.send_replace(Some("working"));
    }

    /// The start is over, and this process waits for `what`, which is not its own to make.
    pub fn waiting(&self, what: &'static str) {
        self.inner.up.send_replace(Some(what));
    }

    /// Tells of this process until it stops, and stops it when asked. `drain_delay` is what its end may take longer.
    pub fn attend(&self, lifecycle: &Lifecycle, drain_delay: Duration) {
        if matches!(self.inner.starter, Starter::Nobody) {
            return;
        }
        let (this, life) = (self.clone(), lifecycle.clone());
        lifecycle.spawn("service starter", Criticality::Ordinary, async move {
            this.tell_until_the_end(&life).await;
            this.inner.starter.tell(Phase::Stopping { patience: drain_delay + ENDING });
        });
    }

    async fn tell_until_the_end(&self, lifecycle: &Lifecycle) {
        let starter = &self.inner.starter;
        let leaving = lifecycle.leaving();
        let mut up = self.inner.up.subscribe();
        // A quick start may be over by now.
        up.mark_changed();
        let mut starting = tokio::time::interval(BEAT);
        let watched = starter.watchdog();
        let mut alive = tokio::time::interval(watched.unwrap_or(BEAT));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_up = up.borrow().is_some();
            tokio::select! {
                () = leaving.cancelled() => return,
                () = starter.stop_asked() => lifecycle.leave(),
                Ok(()) = up.changed() => {
                    if let Some(status) = *up.borrow_and_update() {
                        starter.tell(Phase::Up { status });
                    }
                }
                _ = starting.tick(), if !is_up => starter.tell(Phase::Starting { patience: PATIENCE }),
                _ = alive.tick(), if is_up && watched.is_some() => starter.tell(Phase::Alive),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::service::starter::socket::Socket;

    struct Systemd {
        socket: UnixDatagram,
        path: String,
        _dir: tempfile::TempDir,
    }

    impl Systemd {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("temporary folder");
            let path = dir.path().join("notify").display().to_string();
            Self { socket: UnixDatagram::bind(&path).expect("bound"), path, _dir: dir }
        }

        fn supervisor(&self, watchdog: &str) -> Supervisor {
            let variable = |name: &str| match name {
                "NOTIFY_SOCKET" => Some(self.path.clone()),
                "WATCHDOG_USEC" => Some(watchdog.to_owned()),
                _ => None,
            };
            Supervisor::of(Starter::Systemd(Socket::of(variable).expect("a socket")))
        }

        /// What was said since the last look.
        fn heard(&self) -> Vec<String> {
            self.socket.set_nonblocking(true).expect("set");
            let mut words = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                words.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            words
        }
    }

    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_start_is_told_of_until_it_is_over_and_then_that_it_lives() {
        let systemd = Systemd::new();
        let (supervisor, lifecycle) = (systemd.supervisor("4000000"), Lifecycle::new());
        supervisor.attend(&lifecycle, Duration::ZERO);
        pass(Duration::from_secs(12)).await;
        assert_eq!(systemd.heard(), ["EXTEND_TIMEOUT_USEC=60000000"; 3]);
        supervisor.waiting("waiting for the database");
        pass(Duration::from_millis(1)).await;
        assert_eq!(systemd.heard()[0], "READY=1\nSTATUS=waiting for the database");
        supervisor.ready();
        pass(Duration::from_millis(1)).await;
        assert!(systemd.heard().contains(&"READY=1\nSTATUS=working".to_owned()));
        pass(Duration::from_secs(6)).await;
        assert_eq!(systemd.heard(), ["WATCHDOG=1"; 3], "each two of four seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_was_over_before_anybody_listened_is_told_of() {
        let systemd = Systemd::new();
        let (supervisor, lifecycle) = (systemd.supervisor("0"), Lifecycle::new());
        supervisor.ready();
        supervisor.attend(&lifecycle, Duration::ZERO);
        pass(Duration::from_millis(1)).await;
        assert!(systemd.heard().contains(&"READY=1\nSTATUS=working".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_says_how_long_it_may_take() {
        let systemd = Systemd::new();
        let (supervisor, lifecycle) = (systemd.supervisor("0"), Lifecycle::new());
        supervisor.attend(&lifecycle, Duration::from_secs(40));
        supervisor.ready();
        pass(Duration::from_secs(30)).await;
        lifecycle.stop();
        lifecycle.drain().await.expect("an orderly stop");
        let heard = systemd.heard();
        assert_eq!(
            heard.last().map(String::as_str),
            Some("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=60000000"),
            "{heard:?}"
        );
        assert!(!heard.contains(&"WATCHDOG=1".to_owned()), "nobody waits for it: {heard:?}");
    }

    #[test]
    fn another_process_watchdog_is_not_ours_and_abstract_names_are_understood() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Socket::of(move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        };
        assert!(of(&[]).is_none());
        let other = of(&[("NOTIFY_SOCKET", "@mb-test"), ("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", "1")]);
        assert_eq!(Starter::Systemd(other.expect("a socket")).watchdog(), None);
    }
}

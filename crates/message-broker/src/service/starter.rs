//! How a process talks to what started it: a datagram to systemd's socket, a status to Windows' service control manager, or
//! nothing. The only file that knows how they differ.

use std::time::Duration;

/// How far a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Busy with its own start, which takes its time after a crash; `patience`: when to expect the next word.
    Starting {
        /// Until the next word.
        patience: Duration,
    },
    /// The start is over: it works, or waits for what others make.
    Up {
        /// What it does, for people.
        status: &'static str,
    },
    /// It still works.
    Alive,
    /// It ends within `patience`.
    Stopping {
        /// Until the end.
        patience: Duration,
    },
}

/// Who started this process.
#[derive(Debug, Default)]
pub(super) enum Starter {
    /// Somebody who wants to hear nothing.
    #[default]
    Nobody,
    /// systemd, by its socket.
    #[cfg(unix)]
    Systemd(socket::Socket),
    /// Windows.
    #[cfg(windows)]
    Scm(super::scm::running::Reporter),
}

impl Starter {
    /// Tells how far this process is. Who does not listen is no failure.
    pub(super) fn tell(&self, phase: Phase) {
        match self {
            Self::Nobody => {
                let _ = phase;
            }
            #[cfg(unix)]
            Self::Systemd(socket) => socket.send(&socket::words(phase)),
            #[cfg(windows)]
            Self::Scm(reporter) => reporter.tell(phase),
        }
    }

    /// How often [`Phase::Alive`] must be told; `None` if nobody waits for it.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        match self {
            Self::Nobody => None,
            #[cfg(unix)]
            Self::Systemd(socket) => socket.watchdog(),
            #[cfg(windows)]
            Self::Scm(_) => None,
        }
    }

    /// Waits until it asks for a stop in another way than by a signal.
    pub(super) async fn stop_asked(&self) {
        match self {
            #[cfg(unix)]
            Self::Nobody | Self::Systemd(_) => std::future::pending().await,
            #[cfg(windows)]
            Self::Nobody => std::future::pending().await,
            #[cfg(windows)]
            Self::Scm(reporter) => reporter.stop_asked().await,
        }
    }
}

/// The protocol of `sd_notify(3)`.
#[cfg(unix)]
pub(super) mod socket {
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    use super::Phase;

    /// Where to send words, and how often systemd must hear one.
    #[derive(Debug)]
    pub(in crate::service) struct Socket {
        own: UnixDatagram,
        to: SocketAddr,
        watchdog: Option<Duration>,
    }

    impl Socket {
        /// As the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say; `None` without a usable first one.
        pub(in crate::service) fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
            let to = address(&variable("NOTIFY_SOCKET")?)?;
            let own_end = UnixDatagram::unbound().ok()?;
            own_end.set_nonblocking(true).ok()?;
            let own = |pid: String| pid.trim() == std::process::id().to_string();
            let watched = variable("WATCHDOG_PID").is_none_or(own);
            let micros = variable("WATCHDOG_USEC").filter(|_| watched).and_then(|text| text.trim().parse::<u64>().ok());
            // Half of it, as sd_watchdog_enabled(3) advises.
            let watchdog = micros.filter(|micros| *micros > 0).map(|micros| Duration::from_micros(micros / 2));
            Some(Self { own: own_end, to, watchdog })
        }

        pub(super) fn watchdog(&self) -> Option<Duration> {
            self.watchdog
        }

        pub(super) fn send(&self, words: &str) {
            let _ = self.own.send_to_addr(words.as_bytes(), &self.to);
        }
    }

    /// A path, or a name in the abstract space, which `@` begins.
    fn address(text: &str) -> Option<SocketAddr> {
        match text.strip_prefix('@') {
            #[cfg(target_os = "linux")]
            Some(name) => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name).ok()
            }
            #[cfg(not(target_os = "linux"))]
            Some(_) => None,
            None => SocketAddr::from_pathname(text).ok(),
        }
    }

    pub(super) fn words(phase: Phase) -> String {
        match phase {
            Phase::Starting { patience } => format!("EXTEND_TIMEOUT_USEC={}", patience.as_micros()),
            Phase::Up { status } => format!("READY=1\nSTATUS={status}"),
            Phase::Alive => "WATCHDOG=1".to_owned(),
            Phase::Stopping { patience } => {
                format!("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC={}", patience.as_micros())
            }
        }
    }
}

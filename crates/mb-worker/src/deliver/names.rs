//! Names to addresses, the system's own way: its hosts file, its name servers, whatever else it is set up to ask.
//!
//! That way blocks a thread, for ten seconds and more where a name server does not answer, and cannot be broken off. So a
//! look-up has a thread of its own, never one of the runtime's, on which journal and store wait. There is one look-up of a
//! name at a time, which all who want it wait for, and a bounded number of them at once. Names that were slow to look up,
//! and those that never were, take up only a part of it, so that name servers that do not answer keep nobody from names
//! that are known to be answered.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Look-ups at once.
const MOST: usize = 64;
/// Those of names that are not known as quick.
const MOST_UNPROVEN: usize = 48;
/// Those of names that are known as slow.
const MOST_SLOW: usize = 16;
/// What takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);
/// So long an answer holds: also one that there is no address.
const FRESH: Duration = Duration::from_secs(5);
/// So long a name is known that nobody asked for.
const KNOWN: Duration = Duration::from_mins(10);
/// Names that are known at most.
const MOST_KNOWN: usize = 10_000;
/// Stack of a look-up's thread: what the system's libraries need.
const STACK: usize = 512 << 10;

/// The addresses of a name, or why there are none.
type Found = Result<Arc<[IpAddr]>, Arc<str>>;

/// What is known of names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    known: Arc<Mutex<HashMap<String, Known>>>,
    all: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    pace: Pace,
    last: Option<(Instant, Found)>,
    /// Tells what the look-up finds that is going on.
    under_way: Option<watch::Receiver<Option<Found>>>,
}

/// How the last look-up of a name went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Pace {
    /// There was none.
    #[default]
    Unknown,
    Quick,
    Slow,
}

/// What to do about a name.
enum Next {
    Have(Found),
    Wait(watch::Receiver<Option<Found>>),
    LookUp(Pace),
}

/// The right to look up a name.
type Turn = Vec<OwnedSemaphorePermit>;

impl Names {
    pub(crate) fn new() -> Self {
        let places = |number| Arc::new(Semaphore::new(number));
        Self { known: Arc::default(), all: places(MOST), unproven: places(MOST_UNPROVEN), slow: places(MOST_SLOW) }
    }

    /// The addresses of a host. Whoever gives up waiting leaves the look-up to those who ask next.
    pub(crate) async fn addresses(&self, host: &str) -> Found {
        let mut found = match self.next(host) {
            Next::Have(found) => return found,
            Next::Wait(found) => found,
            Next::LookUp(pace) => {
                let turn = self.turn(pace).await;
                match self.begin(host, turn) {
                    Next::Have(found) => return found,
                    Next::Wait(found) => found,
                    Next::LookUp(_) => return Err("the name cannot be looked up now".into()),
                }
            }
        };
        let found = found.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err("the look-up of the name broke off".into()))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, host: &str) -> Next {
        self.known().get(host).map_or(Next::LookUp(Pace::Unknown), Known::next)
    }

    /// Waits for a turn among those that a name of that pace has.
    async fn turn(&self, pace: Pace) -> Turn {
        let places = match pace {
            Pace::Quick => &[&self.all][..],
            Pace::Unknown => &[&self.unproven, &self.all],
            Pace::Slow => &[&self.slow, &self.unproven, &self.all],
        };
        let mut turn = Turn::with_capacity(places.len());
        for places in places {
            // They are never closed.
            turn.extend(Arc::clone(places).acquire_owned().await.ok());
        }
        turn
    }

    /// Starts the look-up, unless somebody else has meanwhile.
    fn begin(&self, host: &str, turn: Turn) -> Next {
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            forget(&mut known);
        }
        let entry = known.entry(host.to_owned()).or_default();
        if let next @ (Next::Have(_) | Next::Wait(_)) = entry.next() {
            return next;
        }
        let (tell, told) = watch::channel(None);
        let (names, host) = (self.clone(), host.to_owned());
        let thread = std::thread::Builder::new().name("name look-up".to_owned()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let (found, took) = look_up(&host);
            names.note(&host, &found, took);
            tell.send_replace(Some(found));
            drop(turn);
        });
        if spawned.is_err() {
            return Next::LookUp(entry.pace);
        }
        entry.under_way = Some(told.clone());
        Next::Wait(told)
    }

    fn note(&self, host: &str, found: &Found, took: Duration) {
        let mut known = self.known();
        let entry = known.entry(host.to_owned()).or_default();
        entry.pace = if took > SLOW { Pace::Slow } else { Pace::Quick };
        entry.last = Some((Instant::now(), found.clone()));
        entry.under_way = None;
    }
}

impl Known {
    fn next(&self) -> Next {
        if let Some((_, found)) = self.last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Next::Have(found.clone());
        }
        // One that broke off tells nothing any more.
        match self.under_way.as_ref().filter(|told| told.has_changed().is_ok()) {
            Some(told) => Next::Wait(told.clone()),
            None => Next::LookUp(self.pace),
        }
    }

    fn is_recent(&self) -> bool {
        self.under_way.is_some() || self.last.as_ref().is_some_and(|(at, _)| at.elapsed() < KNOWN)
    }
}

/// Makes room: what nobody asked for lately, or else all that is not being looked up.
fn forget(known: &mut HashMap<String, Known>) {
    known.retain(|_, known| known.is_recent());
    if known.len() >= MOST_KNOWN {
        known.retain(|_, known| known.under_way.is_some());
    }
}

fn look_up(host: &str) -> (Found, Duration) {
    let begun = Instant::now();
    let found = (host, 0).to_socket_addrs();
    let found = found.map(|found| found.map(|address| address.ip()).collect());
    (found.map_err(|error| error.to_string().into()), begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that the system knows without asking anybody.
    const LOCAL: &str = "localhost";

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_want_it() {
        let names = Names::new();
        let (one, two) = tokio::join!(names.addresses(LOCAL), names.addresses(LOCAL));
        let (one, two) = (one.expect("is known"), two.expect("is known"));
        assert!(Arc::ptr_eq(&one, &two), "the same answer");
        assert!(one.iter().all(IpAddr::is_loopback) && !one.is_empty());
        let again = names.addresses(LOCAL).await.expect("is known");
        assert!(Arc::ptr_eq(&one, &again), "it holds for a while");
    }

    #[tokio::test]
    async fn names_that_are_not_answered_keep_nobody_from_those_that_are() {
        let names = Names::new();
        names.addresses(LOCAL).await.expect("is known");
        names.known().get_mut(LOCAL).expect("is known").last = None;
        // As many look-ups as there may be of names that are not known as quick.
        let (mut hanging, many) = (Vec::new(), u32::try_from(MOST_UNPROVEN).expect("few"));
        hanging.push(Arc::clone(&names.unproven).acquire_many_owned(many).await.expect("open"));
        hanging.push(Arc::clone(&names.all).acquire_many_owned(many).await.expect("open"));
        let waits = tokio::time::timeout(Duration::from_millis(50), names.addresses("ip6-localhost")).await;
        assert!(waits.is_err(), "one that never was looked up waits");
        names.addresses(LOCAL).await.expect("one that was quick does not");
        drop(hanging);
        assert_eq!(names.known()[LOCAL].pace, Pace::Quick);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_look_up_to_the_next() {
        let names = Names::new();
        let (tell, told) = watch::channel(None);
        names.known().insert("h".into(), Known { under_way: Some(told), ..Known::default() });
        for _ in 0..100 {
            assert!(tokio::time::timeout(Duration::ZERO, names.addresses("h")).await.is_err());
        }
        assert_eq!(names.all.available_permits(), MOST, "no other one was begun");
        tell.send_replace(Some(Ok([IpAddr::from([192, 0, 2, 1])].into())));
        assert_eq!(names.addresses("h").await.expect("is known")[0], IpAddr::from([192, 0, 2, 1]));
    }
}

//! The load itself: lanes of connections that take the next request as soon as they are free.
//!
//! A lane plays one client at a time. With more clients than lanes it moves on to its next client as the run proceeds, by
//! a new connection, so that all of them are used. Everything connects before the clock starts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mb_core::{Clock, Timestamp};
use rustls::ClientConfig;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::output;

use super::args::Http;
use super::connection::{Answer, Fault, Http1};
use super::http2::{Http2, Http2Stream};
use super::payload::{Payload, Shape};
use super::schedule::{Schedule, Ticket};
use super::tally::{Tally, record};
use super::target::Target;

/// A timer may fire this much late without its request counting as late: the timer is the generator's, not the server's.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// The pause after 429 and 503 in a closed loop: a client that is told to go away does not come back at once.
const PAUSE_REFUSED: Duration = Duration::from_millis(10);

/// The pause after a failed connect.
const PAUSE_CONNECT: Duration = Duration::from_millis(50);

const PROGRESS: Duration = Duration::from_secs(2);

/// What to send, as whom and to where.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) target: Target,
    pub(super) clients: Vec<Arc<ClientConfig>>,
    pub(super) lanes: usize,
    pub(super) http: Http,
    pub(super) streams: usize,
    pub(super) shape: Shape,
    pub(super) timeout: Duration,
    /// A new connection for every request.
    pub(super) new_connections: bool,
    pub(super) keep_ids: bool,
    /// Whether there is a pause after a refusal.
    pub(super) closed_loop: bool,
}

/// One run of a load.
struct Run {
    load: Load,
    schedule: Schedule,
    everyone_connected: Barrier,
    origin: OnceLock<(Instant, Timestamp)>,
    accepted: AtomicU64,
}

/// What a run gave, and the way from its instants to the machine's clock.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) first_submit: Timestamp,
    pub(super) elapsed: Duration,
}

/// Runs the load to its end, with a line of progress on stderr every few seconds.
pub(super) async fn run(load: Load, schedule: Schedule) -> Outcome {
    let lanes = load.lanes;
    let run = Arc::new(Run {
        load,
        schedule,
        everyone_connected: Barrier::new(lanes),
        origin: OnceLock::new(),
        accepted: AtomicU64::new(0),
    });
    let mut tasks = JoinSet::new();
    for index in 0..lanes {
        let run = Arc::clone(&run);
        tasks.spawn(async move {
            if run.load.new_connections { fresh(&run, index).await } else { lane(&run, index).await }
        });
    }
    let mut total = Tally::new();
    let begun = Instant::now();
    let mut progress = tokio::time::interval_at(begun + PROGRESS, PROGRESS);
    loop {
        tokio::select! {
            joined = tasks.join_next() => match joined {
                None => break,
                Some(Ok(tally)) => total.merge(tally),
                Some(Err(error)) => total.fault(&Fault::new("bench", error)),
            },
            _ = progress.tick() => {
                output::note(&format!("{:4} s  {:9} accepted", begun.elapsed().as_secs(), run.accepted.load(Ordering::Relaxed)));
            }
        }
    }
    let first = total.first_request.unwrap_or(begun);
    let elapsed = total.last_answer.map_or(Duration::ZERO, |last| last - first);
    Outcome { first_submit: run.wall(first), elapsed, tally: total }
}

impl Run {
    /// When the run began; the first to ask sets it.
    fn start(&self) -> Instant {
        self.origin.get_or_init(|| (Instant::now(), Clock::System.now())).0
    }

    fn wall(&self, at: Instant) -> Timestamp {
        let (start, wall) = self.origin.get().copied().unwrap_or_else(|| (at, Clock::System.now()));
        wall.plus(at.saturating_duration_since(start))
    }

    fn is_over(&self) -> bool {
        self.schedule.is_over(self.start().elapsed())
    }

    /// How many clients a lane plays, one after the other.
    fn turns(&self, lane: usize) -> usize {
        let clients = self.load.clients.len();
        if clients <= self.load.lanes { 1 } else { (clients - lane).div_ceil(self.load.lanes) }
    }

    fn client(&self, lane: usize, turn: usize) -> usize {
        (lane + turn * self.load.lanes) % self.load.clients.len()
    }

    fn payload(&self, client: usize) -> Payload {
        Payload::new(self.load.shape, &self.load.target.authority, client)
    }

    /// Waits until the request is due, and says from when its latency counts.
    async fn due(&self, ticket: Ticket) -> Instant {
        let Some(due) = ticket.due.map(|due| self.start() + due) else { return Instant::now() };
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due).await;
        let woken = Instant::now();
        if woken - due <= TIMER_SLACK { woken } else { due }
    }

    async fn connect(&self, client: usize, tally: &mut Tally) -> Result<Link, Fault> {
        let Load { target, clients, timeout, .. } = &self.load;
        let tls = &clients[client];
        let link = match self.load.http {
            Http::One => Link::Http1(Box::new(Http1::connect(target, tls, *timeout).await?)),
            Http::Two => Link::Http2(Http2::connect(target, tls).await?),
        };
        tally.handshakes += 1;
        Ok(link)
    }
}

enum Link {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// One request at a time.
enum Wire {
    Http1(Box<Http1>),
    Http2(Http2Stream),
}

impl Wire {
    async fn exchange(&mut self, payload: &Payload) -> Result<Answer<'_>, Fault> {
        match self {
            Self::Http1(connection) => connection.exchange(payload.request()).await,
            Self::Http2(stream) => stream.exchange(payload.body()).await,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Over,
    Turn,
    Reconnect,
}

/// A lane's place: which client it plays, and when it is the next one's turn.
#[derive(Clone, Copy)]
struct Place {
    client: usize,
    turn: usize,
    turns: usize,
}

async fn lane(run: &Arc<Run>, index: usize) -> Tally {
    let mut tally = Tally::new();
    let turns = run.turns(index);
    let mut place = Place { client: run.client(index, 0), turn: 0, turns };
    let mut link = Some(run.connect(place.client, &mut tally).await);
    run.everyone_connected.wait().await;
    loop {
        let connected = match link.take() {
            Some(connected) => connected,
            None => run.connect(place.client, &mut tally).await,
        };
        let next = match connected {
            Ok(Link::Http1(connection)) => pump(run, place, &mut Wire::Http1(connection), &mut tally).await,
            Ok(Link::Http2(connection)) => pump_streams(run, place, &connection, &mut tally).await,
            Err(fault) => {
                tally.fault(&fault);
                tokio::time::sleep(PAUSE_CONNECT).await;
                if run.is_over() { Next::Over } else { Next::Reconnect }
            }
        };
        match next {
            Next::Over => return tally,
            Next::Turn => {
                place.turn += 1;
                place.client = run.client(index, place.turn);
            }
            Next::Reconnect => {}
        }
    }
}

/// Several streams of requests on one connection.
async fn pump_streams(run: &Arc<Run>, place: Place, connection: &Http2, tally: &mut Tally) -> Next {
    let mut streams = JoinSet::new();
    for _ in 0..run.load.streams {
        match connection.stream(&run.load.target, run.load.shape.form, run.load.timeout) {
            Ok(stream) => {
                let run = Arc::clone(run);
                streams.spawn(async move {
                    let mut tally = Tally::new();
                    let next = pump(&run, place, &mut Wire::Http2(stream), &mut tally).await;
                    (next, tally)
                });
            }
            Err(fault) => tally.fault(&fault),
        }
    }
    let mut over = Next::Over;
    while let Some(joined) = streams.join_next().await {
        match joined {
            Ok((next, counted)) => {
                tally.merge(counted);
                if next != Next::Over && over != Next::Turn {
                    over = next;
                }
            }
            Err(error) => tally.fault(&Fault::new("bench", error)),
        }
    }
    over
}

/// Requests, one after the other.
async fn pump(run: &Run, place: Place, wire: &mut Wire, tally: &mut Tally) -> Next {
    let mut payload = run.payload(place.client);
    let start = run.start();
    let items = run.load.shape.items as u64;
    loop {
        let Some(ticket) = run.schedule.next(start.elapsed()) else { return Next::Over };
        let since = run.due(ticket).await;
        payload.compose(ticket.number * items);
        let begun = Instant::now();
        tally.request(begun);
        let keep_open = match wire.exchange(&payload).await {
            Ok(answer) => {
                finish(run, tally, &answer, (since, begun), place.client);
                if matches!(answer.status, 429 | 503) && run.load.closed_loop {
                    let keep_open = answer.keep_open;
                    tokio::time::sleep(PAUSE_REFUSED).await;
                    keep_open
                } else {
                    answer.keep_open
                }
            }
            Err(fault) => {
                tally.fault(&fault);
                false
            }
        };
        if place.turn + 1 < place.turns && turn_is_over(run, place, ticket, start) {
            return Next::Turn;
        }
        if !keep_open {
            return Next::Reconnect;
        }
    }
}

fn turn_is_over(run: &Run, place: Place, ticket: Ticket, start: Instant) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "both are below 100,000")]
    let share = (place.turn + 1) as f64 / place.turns as f64;
    run.schedule.progress(ticket.number, start.elapsed()) >= share
}

/// Notes an answer. `since` is when its latency begins, `begun` when its request was sent.
fn finish(run: &Run, tally: &mut Tally, answer: &Answer<'_>, (since, begun): (Instant, Instant), client: usize) {
    let now = Instant::now();
    tally.last_answer = Some(now);
    record(&mut tally.latency, now - since);
    let Shape { form, items, .. } = run.load.shape;
    let accepted = tally.answer(answer, form, items, run.wall(begun), run.load.keep_ids.then_some(client));
    run.accepted.fetch_add(accepted, Ordering::Relaxed);
}

/// A lane that opens a connection for every request; latency includes the handshake.
async fn fresh(run: &Run, index: usize) -> Tally {
    let mut tally = Tally::new();
    let turns = run.turns(index);
    run.everyone_connected.wait().await;
    let start = run.start();
    let items = run.load.shape.items as u64;
    for turn in (0..turns).cycle() {
        let Some(ticket) = run.schedule.next(start.elapsed()) else { break };
        let client = run.client(index, turn);
        let since = run.due(ticket).await;
        let mut payload = run.payload(client);
        payload.compose(ticket.number * items);
        let begun = Instant::now();
        tally.request(begun);
        let answered = async {
            match run.connect(client, &mut tally).await? {
                Link::Http1(mut connection) => {
                    let answer = connection.exchange(payload.request()).await?;
                    finish(run, &mut tally, &answer, (since, begun), client);
                }
                Link::Http2(connection) => {
                    let mut stream = connection.stream(&run.load.target, run.load.shape.form, run.load.timeout)?;
                    let answer = stream.exchange(payload.body()).await?;
                    finish(run, &mut tally, &answer, (since, begun), client);
                }
            }
            Ok::<(), Fault>(())
        };
        if let Err(fault) = answered.await {
            tally.fault(&fault);
            tokio::time::sleep(PAUSE_REFUSED).await;
        }
    }
    tally
}

//! What is done to a cluster, and how it is mended again.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::super::cluster::Cluster;
use super::random::Random;

/// After so long another worker takes what one did not acknowledge: the least that is allowed.
pub(super) const CLAIM_IDLE: Duration = Duration::from_secs(11);

/// Longer than a worker's claims are its own: what it held is somebody else's when it wakes up.
const LONG_STOP: Duration = Duration::from_secs(14);

/// How often a worker is stopped in vain before it is believed that it has nothing to do.
const TRIES: usize = 100;

#[derive(Clone, Copy, Debug)]
enum Blow {
    /// SIGKILL to a process of this name.
    Kill(&'static str),
    KillRedis,
    KillDatabase,
    KillBoth,
    FlushAll,
    /// Redis at its memory limit throws the queue away.
    Evict,
    /// Redis at its memory limit takes nothing.
    Full,
    /// Redis reads its log again, as at a start.
    Reload,
    /// SIGSTOP while the worker holds a batch.
    Stop,
}

const ALL: [Blow; 13] = [
    Blow::Kill("proxy"),
    Blow::Kill("proxy-2"),
    Blow::Kill("worker"),
    Blow::Kill("worker-2"),
    Blow::Kill("main-server"),
    Blow::KillRedis,
    Blow::KillDatabase,
    Blow::KillBoth,
    Blow::FlushAll,
    Blow::Evict,
    Blow::Full,
    Blow::Reload,
    Blow::Stop,
];

/// Strikes in rounds: each blow once, in random order.
#[derive(Default)]
pub(super) struct Striker {
    round: Vec<Blow>,
    strikes: usize,
    /// Workers that were stopped in mid-batch.
    stops: usize,
    /// Since when the worker is stopped.
    stopped: Option<Instant>,
}

impl Striker {
    /// Whether every blow was struck, and the worker was stopped while it held something.
    pub(super) fn has_done_all(&self) -> bool {
        self.strikes >= ALL.len() && self.stops > 0 && self.stopped.is_none()
    }

    pub(super) fn strike(&mut self, cluster: &mut Cluster, random: &mut Random) {
        self.wake_up(cluster, LONG_STOP);
        if self.round.is_empty() {
            self.round = ALL.to_vec();
            random.shuffle(&mut self.round);
        }
        let Some(blow) = self.round.pop() else { return };
        let pause = Duration::from_millis(100 + random.below(900));
        self.strikes += 1;
        eprintln!("{:3} {blow:?}", self.strikes);
        match blow {
            Blow::Kill(name) => {
                cluster.kill_role(name);
                if name == "worker" {
                    self.stopped = None;
                }
                std::thread::sleep(pause);
                cluster.start_role(name);
            }
            Blow::KillRedis => kill_servers(cluster, pause, true, false),
            Blow::KillDatabase => kill_servers(cluster, pause, false, true),
            Blow::KillBoth => kill_servers(cluster, pause, true, true),
            Blow::FlushAll => drop(cluster.redis.redis_cli(&["FLUSHALL"])),
            Blow::Evict => at_the_limit(cluster, pause, "allkeys-lru"),
            Blow::Full => at_the_limit(cluster, pause, "noeviction"),
            Blow::Reload => drop(cluster.redis.redis_cli(&["DEBUG", "RELOAD"])),
            Blow::Stop => self.stop_in_mid_batch(cluster),
        }
    }

    /// Mends what a blow left.
    pub(super) fn end(&mut self, cluster: &mut Cluster) {
        self.wake_up(cluster, Duration::ZERO);
    }

    fn stop_in_mid_batch(&mut self, cluster: &Cluster) {
        if self.stopped.is_some() {
            return;
        }
        let (mut queue, pid) = (cluster.queue(), cluster.pid("worker"));
        for _ in 0..TRIES {
            cluster.signal("worker", "-STOP");
            if queue.pending(pid) > 0 {
                self.stops += 1;
                self.stopped = Some(Instant::now());
                return;
            }
            cluster.signal("worker", "-CONT");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wake_up(&mut self, cluster: &Cluster, after: Duration) {
        if self.stopped.is_some_and(|since| since.elapsed() >= after) {
            cluster.signal("worker", "-CONT");
            self.stopped = None;
        }
    }
}

impl fmt::Display for Striker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} strikes, {} stops in mid-batch", self.strikes, self.stops)
    }
}

fn kill_servers(cluster: &mut Cluster, pause: Duration, redis: bool, database: bool) {
    if redis {
        cluster.redis.kill();
    }
    if database {
        cluster.database.kill();
    }
    std::thread::sleep(pause);
    if redis {
        cluster.redis.restart();
    }
    if database {
        cluster.database.restart();
    }
}

/// Less memory than Redis needs for itself: whatever may go goes, and everything new is refused.
fn at_the_limit(cluster: &Cluster, pause: Duration, policy: &str) {
    let redis = |words: &[&str]| drop(cluster.redis.redis_cli(words));
    redis(&["CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", "1"]);
    std::thread::sleep(pause);
    redis(&["CONFIG", "SET", "maxmemory", "0"]);
}

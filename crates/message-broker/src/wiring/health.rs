//! What each role is asked when someone asks for its health. Anybody may ask, as often as they like, so what is logged about
//! an answer is limited.

use std::collections::BTreeMap;
use std::time::Duration;

use mb_api::Client;
use mb_api::dto::HealthStatus;
use mb_core::{Clock, Timestamp};
use mb_proxy::Proxy;
use mb_queue::{Degraded, Journal, JournalStatus, RedisHealth};
use mb_runtime::logging::limited;
use mb_runtime::{Check, Health};
use mb_server::{Leadership, MailState, MainServer};
use mb_worker::Worker;

use super::certificates::{Expiry, Life, Lives};

/// A message that waits so long for the main server is worth a look.
const WAITS_LONG: Duration = Duration::from_mins(10);
/// A certificate that ends so soon is worth a word, if it should have been renewed.
const SOON: Duration = Duration::from_hours(30 * 24);
/// An authority that ends so soon needs another in its place.
const CA_SOON: Duration = Duration::from_hours(365 * 24);
/// The words, in days.
const STEPS: [u64; 4] = [1, 7, 14, 30];
/// Longer than this no answer of a main server is on its way: what it has to say is not known here.
const POLICY_SILENCE: Duration = mb_api::client::POLL.saturating_add(Duration::from_secs(15));
/// What was decided since the copy was made is not known, sessions that had ended are open again.
const PUT_BACK: &str = "is older than what proxies know: run message-broker admin store new-epoch";
/// How long a portal waits for its main server's answer.
const MAIN_SERVER: Duration = Duration::from_secs(1);

/// Ready = journal writable, a policy in effect and a certificate to seal by; everything else only degrades.
pub(super) fn proxy(health: Health, proxy: &Proxy, journal: &Journal, clock: Clock) -> Health {
    let (proxy, sealing, journal) = (proxy.clone(), proxy.clone(), journal.clone());
    health
        .check("journal", move || {
            let found = writable(&journal.status(), clock.now());
            async move { found }
        })
        .check("policy", move || {
            let usable = proxy.policy_usable();
            let age = proxy.policy_age().map(|age| age.as_secs());
            async move {
                match (age, usable) {
                    (None, _) => Check::unhealthy("none received yet"),
                    (Some(age), Err(reason)) => Check::unhealthy(format!("{age} s old: {reason}")),
                    (Some(age), Ok(())) if age > POLICY_SILENCE.as_secs() => {
                        Check::degraded(format!("{age} s old, the main server is silent"))
                    }
                    (Some(age), Ok(())) => Check::healthy(format!("{age} s old")),
                }
            }
        })
        .check("certificate", move || {
            let found = sealing.can_seal();
            async move { found.map_or_else(Check::unhealthy, |()| Check::healthy("good to seal by")) }
        })
}

fn writable(status: &JournalStatus, now: Timestamp) -> Check {
    let waiting = format!("{} waiting", status.depth);
    let mut reasons: Vec<_> = status.degraded.iter().map(ToString::to_string).collect();
    if let Some(age) = status.oldest.map(|oldest| now.since(oldest)).filter(|age| *age > WAITS_LONG) {
        reasons.push(format!("the oldest message waits since {} s", age.as_secs()));
    }
    let text = format!("{}; {waiting}", reasons.join("; "));
    if status.full {
        Check::unhealthy(format!("full; {waiting}"))
    } else if status.degraded.contains(&Degraded::WriteFailed) {
        Check::unhealthy(text)
    } else if reasons.is_empty() {
        Check::healthy(format!("writable; {waiting}"))
    } else {
        Check::degraded(text)
    }
}

pub(super) fn server(health: Health, server: &MainServer, clock: Clock) -> Health {
    let (server, mails, certificates, retention) = (server.clone(), server.clone(), server.clone(), server.clone());
    let now = clock.clone();
    let health = health.check("certificates", move || {
        let found = issued(&certificates.expiring(), certificates.authority().ca_not_after().since(now.now()));
        async move { found }
    });
    let health = health.check("retention", move || {
        let found = match retention.retention_behind() {
            None => Check::healthy("nothing is kept for too long"),
            Some(overdue) => Check::degraded(format!("some is kept {} days too long", overdue.as_secs() / 86_400)),
        };
        async move { found }
    });
    let (leading, clock_of_leader) = (server.clone(), clock.clone());
    let health = health.check("leadership", move || {
        let found = led(leading.leadership(), leading.leader_missed_after(), clock_of_leader.now());
        async move { found }
    });
    let health = health.check("mail", move || {
        let found = match mails.mail() {
            MailState::Fine => Check::healthy("nothing is held up"),
            MailState::Failing { since, .. } => {
                Check::degraded(format!("cannot be sent since {} s", clock.now().since(since).as_secs()))
            }
        };
        async move { found }
    });
    health.check("store", move || {
        let server = server.clone();
        async move {
            match server.check().await {
                Ok(()) if server.is_behind() => Check::degraded(PUT_BACK),
                Ok(()) => Check::healthy("answers"),
                Err(error) => {
                    limited("health: store", || tracing::warn!(%error, "store does not answer"));
                    Check::unhealthy("does not answer")
                }
            }
        }
    })
}

/// For the rest of its lease a leader that was killed is missed by nobody.
fn led(leadership: Leadership, missed_after: Duration, now: Timestamp) -> Check {
    match leadership {
        Leadership::Here => Check::healthy("this main server leads"),
        Leadership::Elsewhere => Check::healthy("another main server leads"),
        Leadership::Nobody(since) if now.since(since) >= missed_after => {
            Check::degraded(format!("nobody leads since {} s", now.since(since).as_secs()))
        }
        Leadership::Nobody(_) => Check::healthy("nobody leads for the moment"),
    }
}

/// That clients' certificates end is their holders' business, and no fault of this server's; that the authority does within
/// a year is one, for another takes its place by hand.
fn issued(expiring: &BTreeMap<u32, u64>, ca_left: Duration) -> Check {
    let counted = expiring.iter().map(|(days, count)| match days {
        0 => format!("{count} have ended"),
        days => format!("{count} end within {days} days"),
    });
    let counted = counted.collect::<Vec<_>>().join(", ");
    let counted = if counted.is_empty() { "none ends within 30 days".to_owned() } else { counted };
    match ca_left {
        left if left.is_zero() => Check::unhealthy(format!("the authority has ended; {counted}")),
        left if left <= CA_SOON => {
            Check::degraded(format!("the authority ends in {} days; {counted}", left.as_secs() / 86_400))
        }
        _ => Check::healthy(counted),
    }
}

/// A certificate that ends within 30 days although two thirds of its life are over was not renewed.
pub(super) fn expiry(health: Health, expiry: &Expiry, clock: Clock) -> Health {
    let expiry = expiry.clone();
    health.check("certificate_expiry", move || {
        let found = judged(expiry.lives(), clock.now());
        async move { found }
    })
}

/// Of two certificates the public's is told of first: nobody renews that but its owner.
fn judged(lives: Lives, now: Timestamp) -> Check {
    let public = lives.public.map(|life| ends("the public certificate", life, now));
    let own = lives.own.map_or_else(|| Check::healthy("not read yet"), |life| ends("it", life, now));
    if lives.unusable && own.is_healthy() && public.as_ref().is_none_or(Check::is_healthy) {
        return Check::degraded("the files have changed and cannot be used: the last good ones are");
    }
    public.filter(|public| !public.is_healthy()).unwrap_or(own)
}

fn ends(what: &str, (begins, ends): Life, now: Timestamp) -> Check {
    let (left, life) = (ends.since(now), ends.since(begins));
    let days = left.as_secs() / 86_400;
    if left.is_zero() {
        Check::unhealthy(format!("{what} has ended"))
    } else if left <= SOON && left < life / 3 {
        let step = STEPS.into_iter().find(|step| days < *step).unwrap_or(STEPS[STEPS.len() - 1]);
        Check::degraded(format!("{what} ends within {step} days and was not renewed"))
    } else {
        Check::healthy(format!("{what} ends in {days} days"))
    }
}

/// Pages come without a main server too, but say no more than that.
pub(super) fn portal(health: Health, client: Client) -> Health {
    health.check("main_server", move || {
        let client = client.clone();
        async move {
            match tokio::time::timeout(MAIN_SERVER, client.health()).await {
                Ok(Ok(report)) if report.status == HealthStatus::Unhealthy => Check::degraded("is unhealthy"),
                Ok(Ok(_)) => Check::healthy("answers"),
                Ok(Err(error)) => {
                    limited("health: main server", || tracing::warn!(%error, "main server does not answer"));
                    Check::degraded("does not answer")
                }
                Err(_) => Check::degraded(format!("does not answer within {} s", MAIN_SERVER.as_secs())),
            }
        }
    })
}

/// Without Redis, if that carries the queue, a proxy accepts and a worker waits.
pub(super) fn redis(health: Health, redis: Option<RedisHealth>) -> Health {
    let Some(redis) = redis else { return health };
    health.check("redis", move || {
        let failing = redis.failing_since().map(|_| redis.failing_for().as_secs());
        async move {
            match failing {
                None => Check::healthy("answers"),
                Some(seconds) => Check::degraded(format!("cannot be used since {seconds} s")),
            }
        }
    })
}

pub(super) fn worker(health: Health, worker: &Worker, clock: Clock) -> Health {
    let worker = worker.clone();
    health.check("main_server", move || {
        let failing = worker.failing_since().map(|since| clock.now().since(since).as_secs());
        async move {
            match failing {
                None => Check::healthy("takes messages"),
                Some(seconds) => Check::degraded(format!("takes no messages since {seconds} s")),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use mb_api::client::Transport;
    use mb_runtime::Lifecycle;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Counts warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicU64>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn a_health_that_is_asked_again_and_again_fills_no_log() {
        let ca = mb_crypto::ca::Ca::create("a test's CA", Clock::System.now()).expect("a CA");
        let tls = mb_crypto::tls::client_config(None, ca.certificate_pem(), &[]).expect("a configuration");
        // Nobody listens on port 1.
        let away = Client::new(Transport::mtls(tls, "https://127.0.0.1:1").expect("a way"));
        let health = portal(Health::new("1.2.3", Clock::System, &Lifecycle::new()), away);
        let warnings = Warnings::default();
        let guard = tracing::subscriber::set_default(warnings.clone());
        for _ in 0..5 {
            assert_eq!(health.report().await.checks["main_server"], "does not answer");
        }
        drop(guard);
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_certificate_that_was_not_renewed_degrades_in_steps_and_an_ended_one_is_none() {
        let day = Duration::from_hours(24);
        let begins = Timestamp::default();
        let life = (begins, begins.plus(day * 365));
        let own = |life, now| judged(Lives { own: Some(life), ..Lives::default() }, now);
        assert_eq!(own(life, life.1.minus(day * 31)), Check::healthy("it ends in 31 days"));
        for (days, step) in [(29, 30), (13, 14), (6, 7), (0, 1)] {
            let found = own(life, life.1.minus(day * days).minus(Duration::from_secs(1)));
            assert_eq!(found, Check::degraded(format!("it ends within {step} days and was not renewed")), "{days}");
        }
        assert_eq!(own(life, life.1), Check::unhealthy("it has ended"));
        let short = (begins, begins.plus(day));
        assert_eq!(own(short, begins.plus(day / 2)), Check::healthy("it ends in 0 days"), "it is renewed in time");
        let both = |now| {
            judged(Lives { own: Some((begins, begins.plus(day * 900))), public: Some(life), unusable: false }, now)
        };
        assert_eq!(both(life.1.minus(day * 31)), Check::healthy("it ends in 566 days"));
        let found = both(life.1.minus(day * 3));
        assert_eq!(found, Check::degraded("the public certificate ends within 7 days and was not renewed"));
    }

    #[test]
    fn that_nobody_leads_degrades_after_a_while() {
        let (since, missed_after) = (Timestamp::default(), Duration::from_mins(1));
        let after = |seconds| led(Leadership::Nobody(since), missed_after, since.plus(Duration::from_secs(seconds)));
        assert_eq!(after(59), Check::healthy("nobody leads for the moment"));
        assert_eq!(after(60), Check::degraded("nobody leads since 60 s"));
        assert_eq!(led(Leadership::Here, missed_after, since), Check::healthy("this main server leads"));
        assert_eq!(led(Leadership::Elsewhere, missed_after, since), Check::healthy("another main server leads"));
    }

    #[test]
    fn certificates_that_expire_are_counted_and_an_authority_that_ends_degrades() {
        let day = Duration::from_hours(24);
        assert_eq!(issued(&BTreeMap::new(), day * 366), Check::healthy("none ends within 30 days"));
        let counts = BTreeMap::from([(0, 2), (1, 1), (30, 5)]);
        let text = "2 have ended, 1 end within 1 days, 5 end within 30 days";
        assert_eq!(issued(&counts, day * 366), Check::healthy(text));
        assert_eq!(issued(&counts, day * 30), Check::degraded(format!("the authority ends in 30 days; {text}")));
        assert_eq!(issued(&counts, Duration::ZERO), Check::unhealthy(format!("the authority has ended; {text}")));
    }

    #[test]
    fn a_journal_that_takes_nothing_is_unhealthy_and_anything_less_degrades() {
        let of = |degraded: &[Degraded], full| {
            let status = JournalStatus { depth: 3, full, degraded: degraded.to_vec(), ..JournalStatus::default() };
            writable(&status, Timestamp::default())
        };
        assert_eq!(of(&[], false), Check::healthy("writable; 3 waiting"));
        assert_eq!(of(&[Degraded::Full], true), Check::unhealthy("full; 3 waiting"));
        let failed = Degraded::WriteFailed;
        assert_eq!(of(&[failed], false), Check::unhealthy(format!("{failed}; 3 waiting")));
        let waits = |seconds: u64| {
            let oldest = Some(Timestamp::default());
            let now = Timestamp::default().plus(Duration::from_secs(seconds));
            writable(&JournalStatus { depth: 3, oldest, ..JournalStatus::default() }, now)
        };
        assert_eq!(waits(600), Check::healthy("writable; 3 waiting"));
        assert_eq!(waits(601), Check::degraded("the oldest message waits since 601 s; 3 waiting"));
        let stale = Degraded::Stale;
        assert_eq!(of(&[stale, failed], false), Check::unhealthy(format!("{stale}; {failed}; 3 waiting")));
        assert_eq!(of(&[stale], false), Check::degraded(format!("{stale}; 3 waiting")));
    }
}

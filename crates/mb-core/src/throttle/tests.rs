//! What guessers reach, and what they do not take from owners.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

fn network(n: u32) -> Network {
    Network::of(IpAddr::V4(Ipv4Addr::from(n)))
}

fn guess(n: u32) -> Try {
    Try::password("ann@example.org", network(n))
}

#[test]
fn five_failures_lock_the_account_for_their_network_alone_and_longer_each_time() {
    let mut throttle = Throttle::new();
    for _ in 0..FREE_TRIES {
        assert_eq!(throttle.begin(&guess(1), NOW), Ok(()));
    }
    assert_eq!(throttle.begin(&guess(1), NOW), Err(Held::Locked(MINUTE)));
    assert_eq!(throttle.begin(&guess(2), NOW), Ok(()), "another network");
    assert_eq!(throttle.begin(&Try::password("bob@example.org", network(1)), NOW), Ok(()), "another account");
    let mut now = NOW;
    for minutes in [1, 2, 4, 8, 15, 15] {
        assert_eq!(throttle.begin(&guess(1), now), Err(Held::Locked(minutes * MINUTE)));
        now = now.plus(minutes * MINUTE);
        assert_eq!(throttle.begin(&guess(1), now), Ok(()), "a lock ends");
    }
    now = now.plus(FORGET);
    for _ in 0..FREE_TRIES {
        assert_eq!(throttle.begin(&guess(1), now), Ok(()), "a day later all is forgotten");
    }
}

#[test]
fn the_right_password_clears_what_failed_and_a_half_sign_in_does_not() {
    let mut throttle = Throttle::new();
    for _ in 0..FREE_TRIES - 1 {
        throttle.begin(&guess(1), NOW).expect("free");
    }
    throttle.begin(&guess(1), NOW).expect("free");
    throttle.give_back(&guess(1), NOW);
    throttle.begin(&guess(1), NOW).expect("the last one was no guess");
    assert_eq!(throttle.begin(&guess(1), NOW), Err(Held::Locked(MINUTE)));
    let later = NOW.plus(MINUTE);
    throttle.begin(&guess(1), later).expect("unlocked");
    throttle.succeeded(&guess(1), later);
    for _ in 0..FREE_TRIES {
        assert_eq!(throttle.begin(&guess(1), later), Ok(()));
    }
}

#[test]
fn knowing_the_password_does_not_help_with_the_second_factor() {
    let mut throttle = Throttle::new();
    let second = Try::second_factor("ann@example.org", network(1));
    for _ in 0..FREE_TRIES {
        throttle.begin(&guess(1), NOW).expect("right each time");
        throttle.give_back(&guess(1), NOW);
        throttle.begin(&second, NOW).expect("wrong each time");
    }
    assert_eq!(throttle.begin(&second, NOW), Err(Held::Locked(MINUTE)));
    assert_eq!(throttle.begin(&guess(1), NOW), Ok(()));
}

#[test]
fn an_ipv6_host_is_one_network_and_a_mapped_address_is_its_ipv4() {
    let host = |n: u128| Network::of(IpAddr::V6(Ipv6Addr::from(0x2001_0db8 << 96 | n)));
    assert_eq!(host(1), host(u128::from(u64::MAX)));
    assert_ne!(host(1), host(1 << 64));
    assert_eq!(host(7).to_string(), "2001:db8::/64");
    assert_eq!(Network::of(IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())).to_string(), "127.0.0.1");
}

#[test]
fn many_sign_ins_at_once_that_are_right_are_never_held() {
    let mut throttle = Throttle::new();
    for _ in 0..1000 {
        let tries: Vec<_> = (0..20).map(|n| Try::password(&format!("user{n}@example.org"), network(1))).collect();
        for attempt in &tries {
            assert_eq!(throttle.begin(attempt, NOW), Ok(()));
        }
        for attempt in &tries {
            throttle.succeeded(attempt, NOW);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_holds_nobody_for_longer_than_the_longest_wait() {
    let mut throttle = Throttle::new();
    while throttle.begin(&guess(1), NOW).is_ok() {}
    while throttle.begin(&Try::token(network(1)), NOW).is_ok() {}
    let earlier = NOW.minus(FORGET);
    assert_eq!(throttle.begin(&guess(1), earlier), Err(Held::Locked(LONGEST_LOCK)));
    assert_eq!(throttle.begin(&Try::token(network(1)), earlier), Err(Held::Slowed(NETWORK.interval)));
}

#[test]
fn who_fills_the_measure_of_a_network_keeps_no_owner_from_it() {
    let mut throttle = Throttle::new();
    throttle.begin(&guess(1), NOW).expect("free");
    throttle.succeeded(&guess(1), NOW);
    let others = (0..).map(|n| Try::password(&format!("user{n}@example.org"), network(1)));
    let admitted = others.take_while(|attempt| throttle.begin(attempt, NOW).is_ok()).count();
    assert_eq!(admitted, NETWORK.burst as usize);
    assert_eq!(throttle.begin(&guess(1), NOW), Ok(()), "where she was before");
    assert_eq!(throttle.begin(&Try::token(network(1)), NOW), Ok(()), "tokens are another measure");
    assert_eq!(throttle.begin(&Try::mail(network(1)), NOW), Ok(()), "and mails");
    while throttle.begin(&Try::token(network(2)), NOW).is_ok() {}
    assert_eq!(throttle.begin(&guess(2), NOW), Ok(()), "bad tokens keep nobody from a password");
}

#[test]
fn a_session_is_held_by_what_was_tried_in_sessions_alone() {
    let mut throttle = Throttle::new();
    for n in 0..100 {
        while throttle.begin(&guess(n), NOW).is_ok() {}
    }
    let own = Try::own_password("ann@example.org");
    for _ in 0..FREE_TRIES {
        assert_eq!(throttle.begin(&own, NOW), Ok(()));
    }
    assert_eq!(throttle.begin(&own, NOW), Err(Held::Locked(MINUTE)));
}

#[test]
fn an_account_gets_few_reset_mails() {
    let mut throttle = Throttle::new();
    let sent = (0..100).filter(|_| throttle.may_mail("Ann@example.org", NOW)).count();
    assert_eq!(sent, 3);
    assert!(!throttle.may_mail("ann@example.org", NOW) && throttle.may_mail("bob@example.org", NOW));
    assert!(throttle.may_mail("ann@example.org", NOW.plus(RESET_MAIL.interval)));
}

/// How many of `0..` networks' guesses at one account get through within `span`, each network as fast as it may.
fn guesses(throttle: &mut Throttle, networks: u32, span: Duration) -> u64 {
    let (mut admitted, mut now) = (0, NOW);
    while now < NOW.plus(span) {
        for n in 0..networks {
            while throttle.begin(&guess(n), now).is_ok() {
                admitted += 1;
            }
        }
        now = now.plus(Duration::from_secs(1));
    }
    admitted
}

#[test]
fn guessers_reach_little_however_many_networks_they_have() {
    let hour = Duration::from_hours(1);
    assert!(guesses(&mut Throttle::new(), 1, hour) <= 13, "five, then by growing locks");
    let most = u64::from(PASSWORD.burst) + 3600 / PASSWORD.interval.as_secs() + 1;
    assert!(guesses(&mut Throttle::new(), 60, hour) <= most);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever others do, where the owner has been before one try a minute is always let through.
    #[test]
    fn no_guesser_keeps_an_owner_out_of_a_familiar_network(
        guesses in prop::collection::vec((2_u32..2000, 0_u64..30), 1..400),
    ) {
        let mut throttle = Throttle::new();
        throttle.begin(&guess(1), NOW).expect("free");
        throttle.succeeded(&guess(1), NOW);
        let mut now = NOW;
        for (n, seconds) in guesses {
            while throttle.begin(&guess(n), now).is_ok() {}
            now = now.plus(Duration::from_secs(seconds));
            prop_assert_eq!(throttle.begin(&guess(1), now), Ok(()));
            throttle.succeeded(&guess(1), now);
        }
    }

    /// Strangers' entries neither grow without end nor clear the lock of who keeps trying.
    #[test]
    fn memory_is_bounded(accounts in prop::collection::vec("[a-z]{1,300}", 1..200)) {
        let mut throttle = Throttle::bounded(16);
        for (n, account) in (0..).zip(&accounts) {
            let _ = throttle.begin(&Try::password(account, network(n)), NOW);
            let _ = throttle.begin(&Try::second_factor(account, network(n)), NOW);
            throttle.may_mail(account, NOW);
        }
        prop_assert!(throttle.pairs.len() <= 16 && throttle.accounts.len() <= 16);
        prop_assert!(throttle.networks.len() <= 16 && throttle.mails.len() <= 16 && throttle.familiar.is_empty());
    }
}

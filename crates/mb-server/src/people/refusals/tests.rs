//! Which refusals become rows, and how many.

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

fn refusal(n: u32) -> Refusal {
    Refusal::of_sign_in(IpAddr::V4(n.into()), Target::Nobody("ann@example.org"), "wrong_credentials")
}

const GATHER: Duration = WINDOWS[0];

#[test]
fn a_guesser_makes_fewer_and_fewer_rows_with_a_count() {
    let refusals = Refusals::default();
    assert_eq!(refusals.note(refusal(1), NOW), Some(refusal(1)), "the first shows at once");
    let (mut rows, mut counted) = (Vec::new(), 0);
    for second in 0..3600 {
        let now = NOW.plus(Duration::from_secs(second));
        for _ in 0..100 {
            assert_eq!(refusals.note(refusal(1), now), None);
            counted += 1;
        }
        rows.extend(refusals.due(now, false).into_iter().map(|row| (second, row.count)));
    }
    let seconds = rows.iter().map(|(second, _)| *second).collect::<Vec<_>>();
    assert_eq!(seconds, [1, 11, 71, 671, 1271, 1871, 2471, 3071]);
    rows.extend(refusals.due(NOW, true).into_iter().map(|row| (3600, row.count)));
    assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), counted, "all are counted");
}

#[test]
fn who_comes_back_a_little_later_each_time_makes_no_more_rows_than_one_who_never_stops() {
    let refusals = Refusals::default();
    let mut rows = 0;
    for second in (0..3600).step_by(2) {
        let now = NOW.plus(Duration::from_secs(second));
        rows += refusals.due(now, false).len();
        rows += usize::from(refusals.note(refusal(1), now).is_some());
    }
    assert!(rows <= 10, "{rows}");
}

#[test]
fn who_is_silent_for_long_is_forgotten_and_shows_at_once_again() {
    let refusals = Refusals::default();
    for _ in 0..2 {
        refusals.note(refusal(1), NOW);
    }
    assert_eq!(refusals.due(NOW.plus(GATHER), false), [refusal(1)]);
    assert!(refusals.due(NOW.plus(FORGET).minus(GATHER), false).is_empty());
    assert_eq!(refusals.note(refusal(1), NOW.plus(FORGET).minus(GATHER)), None);
    let later = NOW.plus(2 * FORGET);
    assert_eq!(refusals.due(later, false), [refusal(1)]);
    assert!(refusals.due(later.plus(FORGET), false).is_empty());
    assert!(refusals.0.lock().expect("whole").entries.is_empty());
    assert_eq!(refusals.note(refusal(1), later.plus(FORGET)), Some(refusal(1)));
}

#[test]
fn many_guessers_make_few_rows_and_nobody_is_left_out_of_the_count() {
    let refusals = Refusals::default();
    let mut rows: Vec<_> = (0..5000).filter_map(|n| refusals.note(refusal(n), NOW)).collect();
    assert_eq!(rows.len(), OF_ALL.rows as usize);
    rows.extend(refusals.due(NOW.plus(GATHER), false));
    assert_eq!(rows.len(), OF_ALL.rows as usize + 1);
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 5000);
    assert_eq!(rows[OF_ALL.rows as usize].by, Origin::Everybody);
}

#[test]
fn hours_of_guessing_from_everywhere_make_a_bounded_number_of_rows() {
    let refusals = Refusals::default();
    let (mut rows, hours) = (0, 6 * 3600);
    for second in 0..hours {
        let now = NOW.plus(Duration::from_secs(second.into()));
        rows += usize::from(refusals.note(refusal(second), now).is_some()) + refusals.due(now, false).len();
    }
    assert!(rows < 4500, "{rows}");
}

#[test]
fn no_account_hides_behind_another_of_the_same_network() {
    let refusals = Refusals::default();
    let of = |account, reason| Refusal::of_sign_in(IpAddr::V4(1.into()), Target::Nobody(account), reason);
    for (account, reason) in
        [("ann@x.org", "wrong_credentials"), ("bob@x.org", "wrong_credentials"), ("ann@x.org", "locked")]
    {
        assert_eq!(refusals.note(of(account, reason), NOW), Some(of(account, reason)));
        assert_eq!(refusals.note(of(account, reason), NOW), None);
    }
    let due = refusals.due(NOW.plus(GATHER), false);
    assert_eq!(due.len(), 3);
    assert!(due.iter().all(|row| row.count == 1), "{due:?}");
}

#[test]
fn a_network_that_tries_many_accounts_names_the_first_and_counts_all() {
    let refusals = Refusals::default();
    let of = |n| {
        let account = format!("u{n}@x.org");
        Refusal::of_sign_in(IpAddr::V4(1.into()), Target::Nobody(&account), "wrong_credentials")
    };
    let mut rows: Vec<_> = (0..500).filter_map(|n| refusals.note(of(n), NOW)).collect();
    assert_eq!(rows.len(), OF_ORIGIN + 1);
    assert_eq!(rows[OF_ORIGIN].object, MANY);
    rows.extend(refusals.due(NOW.plus(GATHER), false));
    assert_eq!(rows.len(), OF_ORIGIN + 2);
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 500);
}

#[test]
fn who_is_signed_in_has_rows_of_its_own() {
    let refusals = Refusals::default();
    let of = |who, n| Refusal::of_access(who, &format!("/admin/{n}"), "forbidden");
    let rows: Vec<_> = (0..20).filter_map(|n| refusals.note(of("ann@x.org", n), NOW)).collect();
    assert_eq!(rows.len(), OF_ORIGIN + 1);
    assert_eq!(refusals.note(of("bob@x.org", 1), NOW), Some(of("bob@x.org", 1)), "others have theirs");
}

#[test]
fn who_guesses_at_an_account_is_named_however_many_names_are_guessed_at() {
    let refusals = Refusals::default();
    for n in 0..500 {
        refusals.note(refusal(n), NOW);
    }
    let of =
        |n: u32| Refusal::of_sign_in(IpAddr::V4((1000 + n).into()), Target::Account("root@x.org"), "wrong_credentials");
    assert_eq!(refusals.note(of(0), NOW), None, "that there is such an account takes no longer");
    let insider = Refusal::of_access("ann@x.org", "/admin/users", "forbidden");
    assert_eq!(refusals.note(insider.clone(), NOW), Some(insider));
    assert!(refusals.due(NOW.plus(GATHER), false).contains(&of(0)));
    let mut rows = Vec::new();
    for n in 1..5000 {
        rows.extend(refusals.note(of(n), NOW.plus(GATHER)));
    }
    rows.extend(refusals.due(NOW.plus(3 * GATHER), false));
    rows.retain(|row| row.object == "root@x.org");
    assert!(rows.len() <= OF_ACCOUNT.rows as usize + 1, "{}", rows.len());
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 4999, "all are counted with the account");
}

#[test]
fn what_is_no_address_is_not_written() {
    let row = Refusal::of_sign_in(IpAddr::V4(1.into()), Target::Nobody("My Password 1"), "wrong_credentials");
    assert_eq!(row.object, "unknown");
}

//! Sessions, refresh tokens and reset tokens: how they live, and that nothing that ended comes back.

use std::time::Duration;

use mb_core::throttle::Network;
use mb_core::{SessionId, SessionKind, Timestamp, UserId, UserRole};
use mb_store::{
    Acquaintance, MAX_SESSIONS_PER_USER, NewMail, NewRefreshToken, NewResetToken, NewSession, Rotation, SessionKey,
    StoreError, User,
};

use crate::fixture::{Fixture, NOW};
use crate::people::user;

const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn digest(n: u8) -> [u8; 32] {
    [n; 32]
}

/// A portal session whose token has the digest of `n`.
pub(crate) fn session(user: &User, n: u8) -> NewSession {
    NewSession {
        id: SessionId::from_bytes([n; 16]),
        kind: SessionKind::Portal,
        token_digest: digest(n),
        user: user.id,
        generation: user.generation,
        idle_timeout: HOUR,
        expires_at: NOW.plus(12 * HOUR),
        peer_address: "192.0.2.1".into(),
        user_agent: "test\r\nagent".into(),
    }
}

/// A session of refresh tokens, the first of which has the digest of `n`.
fn family(user: &User, n: u8) -> NewSession {
    NewSession { kind: SessionKind::Token, idle_timeout: 240 * HOUR, ..session(user, n) }
}

fn token(n: u8, expires_at: Timestamp) -> NewRefreshToken {
    NewRefreshToken { digest: digest(n), expires_at, family: None }
}

pub(crate) async fn a_session_lives_until_it_is_idle_or_over(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let begun = store.begin_session(&session(&owner, 1)).await.expect("begins");
    assert_eq!((begun.user_agent.as_str(), begun.created_at), ("testagent", NOW));
    let found = async |after: Duration| {
        fixture.clock.set(NOW.plus(after));
        store.portal_session(&digest(1)).await.expect("reads").map(|(session, _)| session.last_used_at)
    };
    assert_eq!(found(Duration::from_secs(59)).await, Some(NOW), "a use within a minute is not written");
    let minute = Duration::from_mins(1);
    assert_eq!(found(minute).await, Some(NOW.plus(minute)));
    for halves in 1..24 {
        assert!(found(halves * HOUR / 2).await.is_some(), "{halves}");
    }
    assert_eq!(found(12 * HOUR).await, None, "it ends however much it is used");
    fixture.clock.set(NOW);
    store.begin_session(&session(&owner, 2)).await.expect("begins");
    fixture.clock.set(NOW.plus(HOUR));
    assert!(store.portal_session(&digest(2)).await.expect("reads").is_none(), "it was idle");
    assert_eq!(store.purge_expired(10).await.expect("purges"), 1);
}

pub(crate) async fn where_somebody_signed_in_is_remembered_longer_than_the_session(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let network = |text: &str| Network::of(text.parse().expect("an address"));
    let known = async |email: &str, at: &str| store.acquaintance(email, network(at)).await.expect("reads");
    let (here, there) = ("2001:db8::1", "2001:db8::2:1");
    assert_eq!(known("a@x", here).await, Acquaintance::Stranger);
    store.begin_session(&NewSession { peer_address: here.into(), ..session(&owner, 1) }).await.expect("begins");
    store.end_session(SessionKey::Token(&digest(1)), None).await.expect("ends").expect("there");
    assert_eq!(known("a@x", there).await, Acquaintance::Familiar, "the same host");
    assert_eq!(known("a@x", "2001:db8:0:1::1").await, Acquaintance::Stranger);
    assert_eq!(known("b@x", here).await, Acquaintance::NoAccount);
    let day = 24 * HOUR;
    fixture.clock.set(NOW.plus(90 * day).minus(HOUR));
    assert_eq!(known("a@x", here).await, Acquaintance::Familiar);
    fixture.clock.set(NOW.plus(90 * day));
    assert_eq!(known("a@x", here).await, Acquaintance::Stranger, "not for good");
    fixture.clock.set(NOW.plus(HOUR));
    for n in 0..20 {
        fixture.clock.set(fixture.clock.now().plus(HOUR));
        for id in [n, 100 + n] {
            let again = NewSession { peer_address: format!("192.0.2.{n}"), ..session(&owner, id) };
            store.begin_session(&NewSession { expires_at: NOW.plus(99 * day), ..again }).await.expect("begins");
        }
    }
    assert_eq!(known("a@x", "192.0.2.0").await, Acquaintance::Familiar);
    assert_eq!(known("a@x", here).await, Acquaintance::Stranger, "only so many are kept");
    assert!(store.delete_user(owner.id, &UserRole::ALL, "root").await.expect("deletes").is_some());
    assert_eq!(known("a@x", "192.0.2.0").await, Acquaintance::NoAccount);
}

pub(crate) async fn a_sign_in_under_an_old_password_opens_nothing(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    store.end_all_sessions("test").await.expect("ends");
    let late = store.begin_session(&session(&owner, 1)).await;
    assert!(matches!(late, Err(StoreError::Missing("user"))), "{late:?}");
}

pub(crate) async fn sessions_are_listed_and_ended_by_their_owner_alone(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let other = user(store, "b@x", UserRole::User).await;
    store.begin_session(&session(&owner, 1)).await.expect("begins");
    fixture.clock.set(NOW.plus(Duration::from_secs(1)));
    store.begin_session(&family(&owner, 2)).await.expect("begins");
    store.begin_session(&session(&other, 3)).await.expect("begins");
    let twice = store.begin_session(&session(&other, 1)).await;
    assert!(matches!(twice, Err(StoreError::Exists("session"))), "{twice:?}");
    let kinds = async |of: UserId| {
        let sessions = store.sessions(of).await.expect("reads");
        sessions.into_iter().map(|session| session.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(owner.id).await, [SessionKind::Token, SessionKind::Portal]);
    let foreign = SessionKey::Id(other.id, SessionId::from_bytes([1; 16]));
    assert!(store.end_session(foreign, Some("b@x")).await.expect("asks").is_none());
    let own = SessionKey::Id(owner.id, SessionId::from_bytes([1; 16]));
    assert!(store.end_session(own, Some("a@x")).await.expect("ends").is_some());
    assert_eq!(kinds(owner.id).await, [SessionKind::Token]);
    assert!(store.end_session(SessionKey::Refresh(&digest(2)), None).await.expect("ends").is_some());
    assert_eq!(store.rotate(&digest(2), &token(9, NOW.plus(HOUR))).await.expect("asks"), Rotation::Unknown);
    let log = store.audit_log(None, 1).await.expect("reads");
    assert_eq!((log[0].actor.as_str(), log[0].action.as_str()), ("a@x", "session.end"));
    assert_eq!(kinds(other.id).await, [SessionKind::Portal]);
}

pub(crate) async fn one_session_too_many_ends_the_one_least_used(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let most = u8::try_from(MAX_SESSIONS_PER_USER).expect("is small");
    for n in 0..=most {
        fixture.clock.set(NOW.plus(Duration::from_secs(n.into())));
        store.begin_session(&session(&owner, n)).await.expect("begins");
    }
    assert_eq!(store.sessions(owner.id).await.expect("reads").len(), usize::from(most));
    assert!(store.portal_session(&digest(0)).await.expect("reads").is_none());
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_some());
}

pub(crate) async fn a_refresh_token_that_is_used_twice_ends_its_session(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let begun = store.begin_session(&family(&owner, 1)).await.expect("begins");
    let later = NOW.plus(20 * HOUR);
    let rotated = store.rotate(&digest(1), &token(2, later)).await.expect("rotates");
    let Rotation::Rotated(held) = rotated else { panic!("{rotated:?}") };
    assert_eq!((held.0.id, held.0.expires_at, held.1.email.as_str()), (begun.id, later, "a@x"));
    assert!(matches!(store.rotate(&digest(2), &token(3, later)).await.expect("rotates"), Rotation::Rotated(_)));
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_none(), "no refresh token opens the portal");
    assert_eq!(store.rotate(&digest(1), &token(4, later)).await.expect("asks"), Rotation::Reused);
    for n in [1, 2, 3, 4] {
        assert_eq!(store.rotate(&digest(n), &token(5, later)).await.expect("asks"), Rotation::Unknown, "{n}");
    }
    assert!(store.session(begun.id).await.expect("reads").is_none());
    let log = store.audit_log(None, 1).await.expect("reads");
    assert_eq!((log[0].action.as_str(), log[0].object.as_str()), ("session.end_reused", "a@x"));
}

pub(crate) async fn used_refresh_tokens_are_few_and_an_older_one_still_ends_its_session(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    let begun = store.begin_session(&family(&owner, 1)).await.expect("begins");
    let of = |n, family| NewRefreshToken { family, ..token(n, NOW.plus(HOUR)) };
    for n in 1..=100 {
        let rotated = store.rotate(&digest(n), &of(n + 1, Some(begun.id))).await.expect("rotates");
        assert!(matches!(rotated, Rotation::Rotated(_)), "{n}: {rotated:?}");
    }
    let elsewhere = SessionId::from_bytes([99; 16]);
    for family in [None, Some(elsewhere)] {
        assert_eq!(store.rotate(&digest(50), &of(200, family)).await.expect("asks"), Rotation::Unknown, "pruned");
    }
    assert!(store.session(begun.id).await.expect("reads").is_some());
    assert_eq!(store.rotate(&digest(50), &of(200, Some(begun.id))).await.expect("asks"), Rotation::Reused);
    assert!(store.session(begun.id).await.expect("reads").is_none());
    assert_eq!(store.rotate(&digest(50), &of(200, Some(begun.id))).await.expect("asks"), Rotation::Unknown);
    // One that is kept shows itself without a name.
    let begun = store.begin_session(&family(&owner, 150)).await.expect("begins");
    for n in 150..160 {
        store.rotate(&digest(n), &of(n + 1, Some(begun.id))).await.expect("rotates");
    }
    assert_eq!(store.rotate(&digest(157), &of(200, None)).await.expect("asks"), Rotation::Reused);
}

pub(crate) async fn of_two_uses_at_once_one_shows_the_other(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    store.begin_session(&family(&owner, 1)).await.expect("begins");
    let new = [token(2, NOW.plus(HOUR)), token(3, NOW.plus(HOUR))];
    let used = digest(1);
    let (one, two) = tokio::join!(store.rotate(&used, &new[0]), store.rotate(&used, &new[1]));
    let outcomes = [one.expect("asks"), two.expect("asks")];
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Rotation::Rotated(_))), "{outcomes:?}");
    assert!(outcomes.contains(&Rotation::Reused), "{outcomes:?}");
    assert!(store.sessions(owner.id).await.expect("reads").is_empty());
}

pub(crate) async fn an_expired_refresh_token_is_told_and_purged(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    store.begin_session(&family(&owner, 1)).await.expect("begins");
    fixture.clock.set(NOW.plus(12 * HOUR));
    let late = store.rotate(&digest(1), &token(2, NOW.plus(24 * HOUR))).await.expect("asks");
    assert_eq!(late, Rotation::Expired);
    assert_eq!(store.purge_expired(10).await.expect("purges"), 1, "its session, and the token with it");
    assert_eq!(store.purge_expired(10).await.expect("purges"), 0);
    assert_eq!(store.rotate(&digest(1), &token(2, NOW)).await.expect("asks"), Rotation::Unknown);
}

pub(crate) async fn a_reset_token_works_once_and_alone(fixture: Fixture) {
    let store = &fixture.store;
    let owner = user(store, "a@x", UserRole::User).await;
    store.begin_session(&session(&owner, 1)).await.expect("begins");
    let mail = NewMail { to: "a@x".into(), subject: "reset".into(), body: "sealed".into(), expires_at: None };
    let new = |n| NewResetToken { digest: digest(n), user: owner.id, expires_at: NOW.plus(HOUR) };
    assert!(store.request_reset(&new(1), &mail, "192.0.2.1").await.expect("stores"));
    assert!(store.request_reset(&new(2), &mail, "192.0.2.1").await.expect("stores"));
    assert_eq!(store.mail_backlog().await.expect("reads").waiting, 2);
    assert!(store.reset_token_user(&digest(1)).await.expect("reads").is_none(), "the later one replaced it");
    let found = store.reset_token_user(&digest(2)).await.expect("reads").expect("is good");
    assert_eq!(found.id, owner.id);
    let after = store.reset_password(&digest(2), "$argon2id$2").await.expect("resets").expect("is good");
    assert_eq!((after.password_hash.as_str(), after.generation), ("$argon2id$2", owner.generation + 1));
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_none());
    assert_eq!(store.reset_password(&digest(2), "$argon2id$3").await.expect("asks"), None);
    assert!(store.request_reset(&new(3), &mail, "192.0.2.1").await.expect("stores"));
    fixture.clock.set(NOW.plus(HOUR));
    assert_eq!(store.reset_password(&digest(3), "$argon2id$3").await.expect("asks"), None, "its time is over");
    assert_eq!(store.purge_expired(10).await.expect("purges"), 1);
    let nobody = NewResetToken { user: UserId::new(999), ..new(4) };
    assert!(!store.request_reset(&nobody, &mail, "192.0.2.1").await.expect("asks"));
}

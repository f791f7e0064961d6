//! Users and their second factor: what a change takes with it, and what it may not take.

use std::time::Duration;

use mb_core::{UserId, UserRole};
use mb_store::{NewUser, SessionKey, Store, StoreError, Totp, User, UserChange, UserFilter};

use crate::fixture::{Fixture, NOW, client, domain};
use crate::signing_in::{digest, session};

pub(crate) async fn user(store: &Store, email: &str, role: UserRole) -> User {
    let new = NewUser {
        email: email.into(),
        password_hash: "$argon2id$1".into(),
        role,
        client: None,
        may_send: false,
        expires_at: None,
    };
    store.insert_user(&new, "setup").await.expect("inserts")
}

async fn change(store: &Store, user: &User, change: UserChange) -> Result<Option<User>, StoreError> {
    store.change_user(user.id, &change, &UserRole::ALL, "root@x").await
}

pub(crate) async fn users_come_in_pages_by_each_filter(fixture: Fixture) {
    let store = &fixture.store;
    for email in ["c@x", "a@x", "d@x", "b@x"] {
        user(store, email, UserRole::User).await;
    }
    let root = user(store, "root@x", UserRole::Admin).await;
    let off = store.user_by_email("b@x").await.expect("reads").expect("is there");
    change(store, &off, UserChange::Active(false)).await.expect("changes");
    store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("creates");
    let bound = store.user_by_email("c@x").await.expect("reads").expect("is there");
    change(store, &bound, UserChange::Client(Some(client("bar")))).await.expect("changes");
    let page = async |filter: UserFilter, after: Option<&str>, limit| {
        let rows = store.user_page(&filter, after, limit).await.expect("reads");
        rows.into_iter().map(|user| user.email).collect::<Vec<_>>()
    };
    assert_eq!(page(UserFilter::default(), None, 2).await, ["a@x", "b@x"]);
    assert_eq!(page(UserFilter::default(), Some("b@x"), 10).await, ["c@x", "d@x", "root@x"]);
    assert_eq!(page(UserFilter { role: Some(UserRole::Admin), ..Default::default() }, None, 10).await, ["root@x"]);
    assert_eq!(page(UserFilter { active: Some(false), ..Default::default() }, None, 10).await, ["b@x"]);
    assert_eq!(page(UserFilter { client: Some(client("bar")), ..Default::default() }, None, 10).await, ["c@x"]);
    assert_eq!(store.user(root.id).await.expect("reads"), Some(root));
    assert_eq!(store.user(UserId::new(999)).await.expect("reads"), None);
}

pub(crate) async fn what_ends_sessions_ends_all_of_them_at_once(fixture: Fixture) {
    let store = &fixture.store;
    user(store, "root@x", UserRole::Admin).await;
    let changes = [
        (UserChange::PasswordHash("$argon2id$2".into()), true),
        (UserChange::Role(UserRole::UserManager), true),
        (UserChange::Client(None), true),
        (UserChange::EndSessions, true),
        (UserChange::Active(false), true),
        (UserChange::MaySend(true), false),
        (UserChange::ExpiresAt(Some(NOW.plus(Duration::from_hours(9)))), false),
        (UserChange::Active(true), false),
    ];
    for (n, (what, ends)) in (1_u8..).zip(changes) {
        let before = user(store, &format!("u{n}@x"), UserRole::User).await;
        let portal = store.begin_session(&session(&before, n)).await.expect("begins");
        let after = change(store, &before, what.clone()).await.expect("changes").expect("is there");
        assert_eq!(after.generation, before.generation + u64::from(ends), "{what:?}");
        assert_eq!(store.session(portal.id).await.expect("reads").is_none(), ends, "{what:?}");
        assert_eq!(store.portal_session(&digest(n)).await.expect("reads").is_none(), ends, "{what:?}");
        assert_eq!(store.user(before.id).await.expect("reads"), Some(after), "{what:?}");
    }
}

pub(crate) async fn a_change_to_what_is_already_so_leaves_no_row(fixture: Fixture) {
    let store = &fixture.store;
    let guest = user(store, "guest@x", UserRole::User).await;
    let rows = async || store.audit_log(None, 100).await.expect("reads").len();
    let before = rows().await;
    for same in [
        UserChange::TimeZone(guest.time_zone.clone()),
        UserChange::MaySend(guest.may_send),
        UserChange::ExpiresAt(None),
        UserChange::Active(true),
    ] {
        assert_eq!(change(store, &guest, same).await.expect("is no change"), Some(guest.clone()));
    }
    assert_eq!(rows().await, before);
    change(store, &guest, UserChange::MaySend(!guest.may_send)).await.expect("changes");
    change(store, &guest, UserChange::EndSessions).await.expect("changes");
    assert_eq!(rows().await, before + 2);
}

pub(crate) async fn an_account_that_ended_opens_nothing(fixture: Fixture) {
    let store = &fixture.store;
    let guest = user(store, "guest@x", UserRole::User).await;
    change(store, &guest, UserChange::ExpiresAt(Some(NOW.plus(Duration::from_mins(1))))).await.expect("changes");
    store.begin_session(&session(&guest, 1)).await.expect("begins");
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_some());
    fixture.clock.set(NOW.plus(Duration::from_mins(1)));
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_none());
    let late = store.begin_session(&session(&guest, 2)).await;
    assert!(matches!(late, Err(StoreError::Missing("user"))), "{late:?}");
    for end in [Some(NOW.plus(Duration::from_hours(1))), None] {
        change(store, &guest, UserChange::ExpiresAt(end)).await.expect("changes");
        assert!(store.portal_session(&digest(1)).await.expect("reads").is_none(), "what was over stays so: {end:?}");
    }
}

pub(crate) async fn the_last_admin_stays(fixture: Fixture) {
    let store = &fixture.store;
    let root = user(store, "root@x", UserRole::Admin).await;
    let end = NOW.plus(Duration::from_hours(1));
    let losses = [UserChange::Role(UserRole::User), UserChange::Active(false), UserChange::ExpiresAt(Some(end))];
    let second = user(store, "second@x", UserRole::Admin).await;
    change(store, &second, UserChange::ExpiresAt(Some(end))).await.expect("another admin stays");
    for loss in &losses {
        let refused = change(store, &root, loss.clone()).await;
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{loss:?}: {refused:?}");
    }
    let refused = store.delete_user(root.id, &UserRole::ALL, "root@x").await;
    assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
    assert_eq!(store.user(root.id).await.expect("reads"), Some(root.clone()));
    change(store, &root, UserChange::PasswordHash("$argon2id$2".into())).await.expect("is no loss");
    change(store, &second, UserChange::ExpiresAt(None)).await.expect("changes");
    change(store, &root, losses[0].clone()).await.expect("another admin stays").expect("is there");
}

pub(crate) async fn two_admins_cannot_remove_each_other_at_once(fixture: Fixture) {
    let store = &fixture.store;
    let one = user(store, "one@x", UserRole::Admin).await;
    let two = user(store, "two@x", UserRole::Admin).await;
    let (first, second) = tokio::join!(
        store.delete_user(one.id, &UserRole::ALL, "two@x"),
        change(store, &two, UserChange::Role(UserRole::User))
    );
    assert_eq!([first.is_ok(), second.is_ok()].into_iter().filter(|ok| *ok).count(), 1, "{first:?} {second:?}");
    assert_eq!(store.count_admins().await.expect("reads"), 1);
}

pub(crate) async fn a_target_of_another_role_is_not_touched(fixture: Fixture) {
    let store = &fixture.store;
    user(store, "root@x", UserRole::Admin).await;
    let peer = user(store, "peer@x", UserRole::UserManager).await;
    let what = UserChange::PasswordHash("$argon2id$2".into());
    assert_eq!(store.change_user(peer.id, &what, &[UserRole::User], "manager@x").await.expect("asks"), None);
    assert_eq!(store.delete_user(peer.id, &[UserRole::User], "manager@x").await.expect("asks"), None);
    assert_eq!(store.user(peer.id).await.expect("reads"), Some(peer));
}

pub(crate) async fn a_removed_user_takes_everything_but_the_log_along(fixture: Fixture) {
    let store = &fixture.store;
    let gone = user(store, "gone@x", UserRole::User).await;
    store.begin_session(&session(&gone, 1)).await.expect("begins");
    store.offer_totp(gone.id, b"sealed", "gone@x").await.expect("offers");
    assert!(store.enable_totp(gone.id, b"sealed", 1, &[vec![1]], "gone@x").await.expect("enables"));
    let removed = store.delete_user(gone.id, &UserRole::ALL, "root@x").await.expect("removes").expect("was there");
    assert_eq!(removed.email, "gone@x");
    assert_eq!(store.user(gone.id).await.expect("reads"), None);
    assert!(store.portal_session(&digest(1)).await.expect("reads").is_none());
    assert!(store.recovery_codes(gone.id).await.expect("reads").is_empty());
    let log = store.audit_log(None, 1).await.expect("reads");
    assert_eq!((log[0].action.as_str(), log[0].object.as_str()), ("user.delete", "gone@x"));
    let again = user(store, "gone@x", UserRole::User).await;
    assert_ne!(again.id, gone.id, "an id is never given twice");
}

pub(crate) async fn passwords_do_not_reach_the_audit_log(fixture: Fixture) {
    let store = &fixture.store;
    let someone = user(store, "a@x", UserRole::User).await;
    change(store, &someone, UserChange::PasswordHash("$argon2id$secret".into())).await.expect("changes");
    let log = store.audit_log(None, 10).await.expect("reads");
    assert_eq!(log[0].action, "user.set_password");
    assert!(!format!("{log:?}").contains("argon2id"), "{log:?}");
}

pub(crate) async fn a_second_factor_counts_once_it_is_proven(fixture: Fixture) {
    let store = &fixture.store;
    let id = user(store, "a@x", UserRole::User).await.id;
    let totp = async || store.user(id).await.expect("reads").expect("is there").totp;
    assert!(!store.enable_totp(id, b"one", 7, &[], "a@x").await.expect("asks"), "nothing was offered");
    store.offer_totp(id, b"one", "a@x").await.expect("offers").expect("is there");
    store.offer_totp(id, b"two", "a@x").await.expect("offers").expect("is there");
    assert_eq!(totp().await, Totp::Pending { secret: b"two".to_vec() });
    assert!(!store.use_totp_step(id, 9).await.expect("asks"), "it is not on");
    assert!(!store.enable_totp(id, b"one", 7, &[], "a@x").await.expect("asks"), "another was offered since");
    assert!(store.enable_totp(id, b"two", 7, &[vec![1], vec![2]], "a@x").await.expect("enables"));
    assert_eq!(totp().await, Totp::On { secret: b"two".to_vec(), since: NOW });
    let refused = store.offer_totp(id, b"three", "a@x").await;
    assert!(matches!(refused, Err(StoreError::Exists("second factor"))), "{refused:?}");
    assert!(store.disable_totp(id, "root@x").await.expect("disables"));
    assert!(!store.disable_totp(id, "root@x").await.expect("asks"));
    assert_eq!(totp().await, Totp::Off);
    assert!(store.recovery_codes(id).await.expect("reads").is_empty());
}

pub(crate) async fn a_time_step_and_a_recovery_code_work_once(fixture: Fixture) {
    let store = &fixture.store;
    let id = user(store, "a@x", UserRole::User).await.id;
    store.offer_totp(id, b"one", "a@x").await.expect("offers");
    assert!(store.enable_totp(id, b"one", 7, &[vec![1], vec![2]], "a@x").await.expect("enables"));
    assert!(!store.use_totp_step(id, 7).await.expect("asks"), "enabling used it");
    let (one, other) = tokio::join!(store.use_totp_step(id, 8), store.use_totp_step(id, 8));
    assert_eq!([one.expect("asks"), other.expect("asks")].into_iter().filter(|used| *used).count(), 1);
    assert!(!store.use_totp_step(id, 7).await.expect("asks"), "steps do not go back");
    let codes = store.recovery_codes(id).await.expect("reads");
    assert_eq!(codes.iter().map(|code| code.hash.clone()).collect::<Vec<_>>(), [vec![1], vec![2]]);
    assert!(!store.consume_recovery_code(UserId::new(999), codes[0].id, "a@x").await.expect("asks"));
    assert!(store.consume_recovery_code(id, codes[0].id, "a@x").await.expect("uses"));
    assert!(!store.consume_recovery_code(id, codes[0].id, "a@x").await.expect("asks"));
    assert!(store.replace_recovery_codes(id, &[vec![3]], "a@x").await.expect("replaces"));
    assert_eq!(store.recovery_codes(id).await.expect("reads").len(), 1);
}

pub(crate) async fn a_restored_store_signs_everyone_out(fixture: Fixture) {
    let store = &fixture.store;
    let before = user(store, "a@x", UserRole::User).await;
    let begun = store.begin_session(&session(&before, 1)).await.expect("begins");
    store.end_all_sessions("restore").await.expect("ends");
    assert!(store.session(begun.id).await.expect("reads").is_none());
    let after = store.user(before.id).await.expect("reads").expect("is there").generation;
    assert!(after > before.generation + 1000, "tokens of as many changes since the copy: {after}");
    assert!(store.end_session(SessionKey::Token(&digest(1)), None).await.expect("asks").is_none());
}

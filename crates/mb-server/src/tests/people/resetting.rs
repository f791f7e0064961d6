//! A lost password: one answer for everybody, a mail for those who have an account, one use of its token.

use std::time::Duration;

use mb_api::paths;
use mb_core::UserRole;
use mb_crypto::sealed_value::{self, Purpose};
use mb_store::{Mail, MailOutcome, UserChange};
use serde_json::json;

use super::super::asking::Answer;
use super::super::fixture::{Fixture, NOW};
use super::PASSWORD;

async fn forgot(fixture: &Fixture, email: &str) -> Answer {
    fixture.from("192.0.2.1").post(paths::AUTH_FORGOT_PASSWORD, json!({ "email": email })).await
}

async fn reset(fixture: &Fixture, token: &str, password: &str) -> Answer {
    let ask = json!({ "token": token, "new_password": password });
    fixture.from("192.0.2.1").post(paths::AUTH_RESET_PASSWORD, ask).await
}

/// The mails that are queued once the last request, which brings one, was worked on.
async fn mails(fixture: &Fixture, at_least: usize) -> Vec<Mail> {
    let wait = async {
        while fixture.store.mail_backlog().await.expect("reads").waiting < at_least as u64 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("worked on");
    let mails = fixture.store.lease_mail(100, Duration::from_hours(1)).await.expect("reads");
    for mail in &mails {
        assert!(fixture.store.report_mail(mail, &MailOutcome::Sent).await.expect("reports"));
    }
    mails
}

fn token(fixture: &Fixture, mail: &Mail) -> String {
    let master = &fixture.server.app.master;
    let text = sealed_value::open(master, Purpose::MailBody, &mail.to, &mail.body).expect("opens");
    let text = String::from_utf8(text.to_vec()).expect("text");
    let (_, rest) = text.split_once("https://portal.example/reset-password?token=").expect("a link");
    rest.split_whitespace().next().expect("a token").to_owned()
}

#[tokio::test]
async fn everybody_gets_one_answer_and_accounts_that_may_sign_in_a_mail() {
    let fixture = Fixture::new().await;
    let off = fixture.user("off@x.org", UserRole::User).await;
    fixture.store.change_user(off.id, &UserChange::Active(false), &UserRole::ALL, "test").await.expect("changes");
    fixture.user("ann@x.org", UserRole::User).await;
    let mut answers = Vec::new();
    for email in ["nobody@x.org", "off@x.org", "no address", "Ann@X.org"] {
        answers.push(forgot(&fixture, email).await.ok(200));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let mails = mails(&fixture, 1).await;
    assert_eq!(mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["ann@x.org"]);
    assert_eq!(mails[0].expires_at, Some(NOW.plus(Duration::from_hours(1))), "as its token");
    assert!(!mails[0].body.windows(4).any(|bytes| bytes == b"mbp_"), "sealed where it lies");
}

#[tokio::test]
async fn the_mails_token_sets_a_password_once_and_ends_all_sessions() {
    let fixture = Fixture::new().await;
    fixture.user("ann@x.org", UserRole::User).await;
    let (access, refresh) = fixture.tokens("ann@x.org").await;
    forgot(&fixture, "ann@x.org").await.ok(200);
    let token = token(&fixture, &mails(&fixture, 1).await[0]);
    let weak = reset(&fixture, &token, "short").await;
    assert_eq!(weak.body["errors"][0]["pointer"], "/new_password");
    assert!(fixture.knows(&access).await);
    reset(&fixture, &token, "Another horse 2").await.ok(200);
    assert_eq!(reset(&fixture, &token, "Another horse 3").await.problem(), (401, "invalid_token"));
    assert!(!fixture.knows(&access).await);
    assert_eq!(fixture.refresh(&refresh).await.status, 401);
    assert_eq!(fixture.log_in("ann@x.org", PASSWORD).await.status, 401);
    fixture.log_in("ann@x.org", "Another horse 2").await.ok(200);
}

#[tokio::test]
async fn a_newer_mail_a_new_password_and_an_hour_void_the_token() {
    let fixture = Fixture::new().await;
    let user = fixture.user("ann@x.org", UserRole::User).await;
    let next = async || {
        forgot(&fixture, "ann@x.org").await.ok(200);
        token(&fixture, &mails(&fixture, 1).await[0])
    };
    let (first, second) = (next().await, next().await);
    assert_eq!(reset(&fixture, &first, "Another horse 2").await.problem(), (401, "invalid_token"));
    let change = UserChange::PasswordHash(user.password_hash.clone());
    fixture.store.change_user(user.id, &change, &UserRole::ALL, "test").await.expect("changes");
    assert_eq!(reset(&fixture, &second, "Another horse 2").await.problem(), (401, "invalid_token"));
    let third = next().await;
    fixture.clock.set(NOW.plus(Duration::from_hours(1)));
    assert_eq!(reset(&fixture, &third, "Another horse 2").await.problem(), (401, "invalid_token"));
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded() {
    let fixture = Fixture::new().await;
    for email in ["ann@x.org", "bob@x.org"] {
        fixture.user(email, UserRole::User).await;
    }
    for _ in 0..10 {
        forgot(&fixture, "ann@x.org").await.ok(200);
    }
    // Worked on in their order: when the last one's mail is there, nothing of the others is to come.
    forgot(&fixture, "bob@x.org").await.ok(200);
    let mails = mails(&fixture, 4).await;
    let to = |address: &str| mails.iter().filter(|mail| mail.to == address).count();
    assert_eq!((to("ann@x.org"), to("bob@x.org")), (3, 1));
}

//! Mail to a real SMTP server on loopback: taken, refused, tried again, and never in the clear where that was asked for.

mod smtp;

use std::sync::Arc;
use std::time::Duration;

use mb_core::{NoticeKind, NoticeLevel, Role, Secret, UserRole};
use mb_store::{NewMail, NewNotice};
use serde_json::json;
use smtp::{Manner, Smtp};

use super::fixture::{Fixture, NOW};
use crate::mail::{compose, sender};
use crate::{MailConfig, MailState, SmtpServer, SmtpTls, notices};

impl Fixture {
    async fn mailing(server: SmtpServer) -> Self {
        Self::with_mail(MailConfig { server: Some(server) }).await
    }

    async fn write(&self, to: &str, text: &str) {
        let mail = compose(&self.server.app.master, to, "Grüße", text).expect("sealed");
        self.store.enqueue_mail(&mail).await.expect("waits");
    }

    async fn send(&self) {
        sender::run(&self.server.app).await.expect("runs");
    }

    async fn waiting(&self) -> u64 {
        self.store.mail_backlog().await.expect("reads").waiting
    }
}

fn plain(port: u16) -> SmtpServer {
    SmtpServer {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::None,
        credentials: None,
        from: "Broker <broker@example.org>".to_owned(),
        ca_pem: None,
    }
}

#[tokio::test]
async fn a_mail_arrives_whole_and_once() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    fixture.write("ann@example.org", "Über https://portal.example/reset?token=abc\n.\nend").await;
    assert!(fixture.execute_text("SELECT body FROM mail_outbox").await.iter().all(|body| !contains(body, "token=abc")));
    fixture.send().await;
    fixture.send().await;
    let mails = smtp.taken();
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].from.as_str(), mails[0].to.as_str()), ("broker@example.org", "ann@example.org"));
    for part in ["From: Broker <broker@example.org>", "To: ann@example.org", "Message-ID: <", "Date: ", "charset=utf-8"]
    {
        assert!(mails[0].text.contains(part), "{part}: {}", mails[0].text);
    }
    assert_eq!((fixture.waiting().await, fixture.server.mail()), (0, MailState::Fine));
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_and_heals() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    fixture.write("ann@example.org", "hello").await;
    smtp.behave(Manner::Refuse("451 later"));
    fixture.send().await;
    assert_eq!(fixture.waiting().await, 1);
    assert!(matches!(fixture.server.mail(), MailState::Failing { since: NOW, .. }));
    notices::mail(&fixture.server.app).await.expect("raises");
    notices::mail(&fixture.server.app).await.expect("raises");
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    let open = admin.get("/admin/notices").await;
    assert_eq!((open.each("kind"), open.each("count")), (vec![json!("mail_failing")], vec![json!(1)]));
    smtp.behave(Manner::Take);
    fixture.send().await;
    assert!(smtp.taken().is_empty(), "not before its time");
    fixture.clock.set(NOW.plus(Duration::from_secs(15)));
    fixture.send().await;
    assert_eq!((smtp.taken().len(), fixture.waiting().await), (1, 0));
    notices::mail(&fixture.server.app).await.expect("resolves");
    assert!(admin.get("/admin/notices").await.each("kind").is_empty());
}

#[tokio::test]
async fn a_mail_that_has_become_useless_is_dropped_before_another_attempt() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    let end = NOW.plus(Duration::from_hours(1));
    let mail = compose(&fixture.server.app.master, "ann@example.org", "Reset", "a link for an hour").expect("sealed");
    fixture.store.enqueue_mail(&NewMail { expires_at: Some(end), ..mail }).await.expect("waits");
    smtp.behave(Manner::Refuse("451 later"));
    for minutes in [0, 10, 20, 30, 40, 50] {
        fixture.clock.set(NOW.plus(Duration::from_mins(minutes)));
        fixture.send().await;
    }
    assert_eq!(fixture.waiting().await, 0, "the next attempt would come too late");
    let mail = compose(&fixture.server.app.master, "ann@example.org", "Reset", "a link for a moment").expect("sealed");
    let now = fixture.clock.now();
    fixture.store.enqueue_mail(&NewMail { expires_at: Some(now), ..mail }).await.expect("waits");
    smtp.behave(Manner::Take);
    fixture.send().await;
    assert_eq!((smtp.taken().len(), fixture.waiting().await), (0, 0));
    let told = fixture.execute_text("SELECT last_error FROM mail_outbox WHERE given_up_at IS NOT NULL").await;
    assert!(contains(&told[1], "no use any more"), "{told:?}");
}

#[tokio::test]
async fn a_recipient_that_is_refused_for_good_is_given_up_and_hinders_no_other() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    smtp.behave(Manner::RefuseRecipient("nobody@example.org", "550 no such user"));
    fixture.write("nobody@example.org", "hello").await;
    fixture.write("ann@example.org", "hello").await;
    fixture.send().await;
    assert_eq!((smtp.taken().len(), fixture.server.mail()), (1, MailState::Fine));
    // That others are taken shows whom the refusal meant.
    fixture.clock.set(NOW.plus(Duration::from_secs(15)));
    fixture.send().await;
    assert_eq!((smtp.taken().len(), fixture.waiting().await), (1, 0));
    assert_eq!(fixture.server.mail(), MailState::Fine);
}

#[tokio::test]
async fn a_refusal_of_the_sender_is_about_us_and_held_up_until_it_is_put_right() {
    for refusal in ["550 no", "554 5.7.1 sender address rejected"] {
        let smtp = Smtp::start(None).await;
        let fixture = Fixture::mailing(plain(smtp.port)).await;
        smtp.behave(Manner::Refuse(refusal));
        for to in ["ann@example.org", "bob@example.org"] {
            fixture.write(to, "hello").await;
        }
        fixture.send().await;
        assert_eq!(fixture.waiting().await, 2, "{refusal}");
        assert!(matches!(fixture.server.mail(), MailState::Failing { .. }), "{refusal}");
        smtp.behave(Manner::Take);
        fixture.clock.set(NOW.plus(Duration::from_secs(15)));
        fixture.send().await;
        assert_eq!((smtp.taken().len(), fixture.server.mail()), (2, MailState::Fine), "{refusal}");
    }
}

#[tokio::test]
async fn recipients_that_are_all_refused_are_a_refusal_of_us() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    for (n, refusal) in (1..).zip(["554 relay denied", "550 5.7.1 relaying denied", "550 5.1.8 unknown sender domain"])
    {
        smtp.behave(Manner::RefuseRecipients(refusal));
        fixture.clock.set(NOW.plus(Duration::from_hours(n)));
        for to in ["ann@example.org", "bob@example.org"] {
            fixture.write(to, "hello").await;
        }
        fixture.send().await;
        assert_eq!(fixture.waiting().await, 2, "{refusal}");
        assert!(matches!(fixture.server.mail(), MailState::Failing { .. }), "{refusal}");
        smtp.behave(Manner::Take);
        fixture.clock.set(NOW.plus(Duration::from_hours(n) + Duration::from_secs(15)));
        fixture.send().await;
        assert_eq!(fixture.waiting().await, 0, "{refusal}");
        if n == 1 {
            smtp.behave(Manner::RefuseRecipient("carl@example.org", "550 gone"));
            fixture.write("carl@example.org", "hello").await;
            fixture.write("dan@example.org", "hello").await;
            fixture.send().await;
            assert_eq!(fixture.waiting().await, 1, "it may have been us");
            fixture.clock.set(NOW.plus(Duration::from_hours(n) + Duration::from_secs(31)));
            fixture.send().await;
            assert_eq!(fixture.waiting().await, 0, "one that others are not is refused for itself");
        }
    }
}

#[tokio::test]
async fn a_sender_that_is_refused_at_its_recipients_is_held_up_and_loses_no_mail() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    // As Postfix does with `reject_unlisted_sender`.
    smtp.behave(Manner::RefuseRecipients("550 5.1.0 <broker@example.org>: Sender address rejected: User unknown"));
    for to in ["ann@example.org", "bob@example.org", "carl@example.org"] {
        fixture.write(to, "hello").await;
    }
    fixture.send().await;
    assert_eq!(fixture.waiting().await, 3);
    assert!(matches!(fixture.server.mail(), MailState::Failing { .. }));
    smtp.behave(Manner::Take);
    fixture.clock.set(NOW.plus(Duration::from_secs(15)));
    fixture.send().await;
    assert_eq!((smtp.taken().len(), fixture.server.mail()), (3, MailState::Fine));
}

#[tokio::test]
async fn a_mail_that_is_given_up_is_told_of() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    let admin = fixture.signed_in(UserRole::Admin, None).await;
    smtp.behave(Manner::RefuseRecipient("nobody@example.org", "550 5.1.1 no such user"));
    for _ in 0..2 {
        fixture.write("nobody@example.org", "hello").await;
        fixture.send().await;
    }
    let open = admin.get("/admin/notices").await;
    assert_eq!((open.each("kind"), open.each("count")), (vec![json!("mail_given_up")], vec![json!(2)]));
    let detail = &open.body["data"][0]["detail"];
    assert_eq!((&detail["to"], &detail["subject"]), (&json!("nobody@example.org"), &json!("Grüße")));
    assert!(detail["error"].as_str().is_some_and(|error| error.contains("no such user")), "{detail}");
}

#[tokio::test]
async fn a_mail_that_is_under_way_at_the_stop_is_due_at_once_for_the_next_start() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    for to in ["ann@example.org", "bob@example.org"] {
        fixture.write(to, "hello").await;
    }
    smtp.behave(Manner::Hang);
    let stopping = fixture.server.app.stopping.clone();
    let hung = smtp.hung();
    tokio::join!(fixture.send(), async move {
        hung.await;
        stopping.cancel();
    });
    assert_eq!(fixture.waiting().await, 2);
    let due = fixture.store.lease_mail(9, Duration::from_secs(1)).await.expect("leases");
    let attempts = due.iter().map(|mail| (mail.to.as_str(), mail.attempt)).collect::<Vec<_>>();
    assert_eq!(attempts, [("ann@example.org", 2), ("bob@example.org", 1)]);
}

#[tokio::test]
async fn without_a_mail_server_only_what_waits_is_missed() {
    let fixture = Fixture::new().await;
    fixture.send().await;
    assert_eq!(fixture.server.mail(), MailState::Fine);
    fixture.write("ann@example.org", "hello").await;
    fixture.send().await;
    assert!(matches!(fixture.server.mail(), MailState::Failing { error, .. } if error.contains("SMTP_HOST")));
    assert_eq!(fixture.waiting().await, 1);
}

#[tokio::test]
async fn starttls_is_required_and_its_certificate_checked() {
    let fixture = Fixture::new().await;
    let issued = fixture.issue("server", Role::Server).await;
    let ca = fixture.server.authority().ca_pem().clone();
    let key = issued.private_key_pem.expose();
    let tls = Arc::new(mb_crypto::tls::server_config(&issued.certificate_pem, key, &ca).expect("a configuration"));
    let smtp = Smtp::start(Some(tls)).await;
    let credentials = Some(("broker".to_owned(), Secret::new("s3cret".to_owned())));
    let asked = SmtpServer { host: "localhost".to_owned(), tls: SmtpTls::StartTls, credentials, ..plain(smtp.port) };
    let trusting = Fixture::mailing(SmtpServer { ca_pem: Some(ca), ..asked.clone() }).await;
    trusting.write("ann@example.org", "hello").await;
    trusting.send().await;
    let mails = smtp.taken();
    assert_eq!((mails.len(), mails[0].secure, mails[0].login.as_deref()), (1, true, Some("\0broker\0s3cret")));
    let wary = Fixture::mailing(asked.clone()).await;
    wary.write("ann@example.org", "hello").await;
    wary.send().await;
    assert_eq!((smtp.taken().len(), wary.waiting().await), (1, 1), "an unknown CA is not trusted");
    let clear = Smtp::start(None).await;
    let stripped = Fixture::mailing(SmtpServer { port: clear.port, ..asked }).await;
    stripped.write("ann@example.org", "hello").await;
    stripped.send().await;
    assert_eq!((clear.taken().len(), stripped.waiting().await), (0, 1), "nothing goes out in the clear");
}

#[tokio::test]
async fn admins_are_mailed_what_is_new_once() {
    let smtp = Smtp::start(None).await;
    let fixture = Fixture::mailing(plain(smtp.port)).await;
    fixture.signed_in(UserRole::Admin, None).await;
    fixture.signed_in(UserRole::User, None).await;
    for key in ["a", "b"] {
        let (kind, level) = (NoticeKind::DestinationDisabled, NoticeLevel::Warning);
        let notice =
            NewNotice { kind, key: key.to_owned(), level, detail: json!({ "failing_since": "long ago", "id": null }) };
        fixture.store.raise_notice(&notice).await.expect("raises");
    }
    for _ in 0..2 {
        notices::digest::run(&fixture.server.app).await.expect("writes");
        fixture.send().await;
    }
    let mails = smtp.taken();
    assert_eq!((mails.len(), mails[0].to.as_str()), (1, "admin-none@example.org"));
    let text = mails[0].text.replace("\r\n", "\n");
    assert!(text.contains("Subject: message-broker: warning: 2 notices"), "{text}");
    assert!(text.contains("  about: a\n  failing since: long ago\n  first: "), "{text}");
    assert!(text.contains("All notices: https://portal.example/admin/notices"), "{text}");
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

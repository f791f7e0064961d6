//! What keeps the system itself going: mail that waits, notices, leases.

use std::time::Duration;

use mb_core::{JournalBacklog, JournalFaults, NoticeKind, NoticeLevel};
use mb_store::{DatabaseProduct, Heartbeat, MailOutcome, NewMail, NewNotice, NoticeFilter, NoticeKey, WorkerBeat};

use crate::fixture::{Fixture, NOW};

const LEASE: Duration = Duration::from_mins(1);

fn mail(subject: &str) -> NewMail {
    NewMail { to: "a@x".into(), subject: subject.into(), body: "secret".into(), expires_at: Some(NOW.plus(LEASE)) }
}

fn notice(key: &str, level: NoticeLevel) -> NewNotice {
    let detail = serde_json::json!({ "days": 3 });
    NewNotice { kind: NoticeKind::CertificateExpiring, key: key.into(), level, detail }
}

pub(crate) async fn a_mail_is_tried_by_one_at_a_time(fixture: Fixture) {
    let store = &fixture.store;
    store.enqueue_mail(&mail("one")).await.expect("stores");
    store.enqueue_mail(&mail("two")).await.expect("stores");
    let backlog = store.mail_backlog().await.expect("reads");
    assert_eq!((backlog.waiting, backlog.oldest), (2, Some(NOW)));
    let first = store.lease_mail(1, LEASE).await.expect("leases");
    let second = store.lease_mail(9, LEASE).await.expect("leases");
    assert_eq!((first[0].subject.as_str(), second[0].subject.as_str()), ("one", "two"));
    assert_eq!((first.len(), second.len(), first[0].attempt), (1, 1, 1));
    assert_eq!(first[0].expires_at, Some(NOW.plus(LEASE)));
    assert!(store.lease_mail(9, LEASE).await.expect("asks").is_empty());
    fixture.clock.set(NOW.plus(LEASE));
    let again = store.lease_mail(1, LEASE).await.expect("leases");
    assert_eq!((again[0].id, again[0].attempt, &again[0].body[..]), (first[0].id, 2, b"secret".as_slice()));
    assert!(!store.report_mail(&first[0], &MailOutcome::Sent).await.expect("asks"), "another has it");
    assert!(store.report_mail(&again[0], &MailOutcome::Sent).await.expect("reports"));
    assert!(!store.report_mail(&again[0], &MailOutcome::Sent).await.expect("asks"), "it is done with");
    assert_eq!(store.mail_backlog().await.expect("reads").waiting, 1);
}

pub(crate) async fn a_mail_waits_for_its_next_attempt_and_is_swept_when_done(fixture: Fixture) {
    let store = &fixture.store;
    store.enqueue_mail(&mail("one")).await.expect("stores");
    let leased = store.lease_mail(1, LEASE).await.expect("leases");
    let later = NOW.plus(Duration::from_mins(5));
    let retry = MailOutcome::Retry(later, "451 later".into());
    assert!(store.report_mail(&leased[0], &retry).await.expect("reports"));
    fixture.clock.set(NOW.plus(Duration::from_secs(299)));
    assert!(store.lease_mail(1, LEASE).await.expect("asks").is_empty());
    assert_eq!(store.sweep_mail(later, 9).await.expect("sweeps"), 0, "it waits");
    fixture.clock.set(later);
    let leased = store.lease_mail(1, LEASE).await.expect("leases");
    assert_eq!(&leased[0].body[..], b"secret");
    assert!(store.report_mail(&leased[0], &MailOutcome::GivenUp("550 no".into())).await.expect("reports"));
    assert_eq!(store.sweep_mail(NOW, 9).await.expect("sweeps"), 0, "it is not old enough");
    assert_eq!(store.sweep_mail(later, 9).await.expect("sweeps"), 1);
}

pub(crate) async fn a_sent_mail_keeps_no_body(fixture: Fixture) {
    let store = &fixture.store;
    store.enqueue_mail(&mail("one")).await.expect("stores");
    let leased = store.lease_mail(1, LEASE).await.expect("leases");
    store.report_mail(&leased[0], &MailOutcome::Sent).await.expect("reports");
    let sql = "SELECT length(body) FROM mail_outbox WHERE sent_at IS NOT NULL";
    let left = fixture.beside().await.number(sql).await;
    assert_eq!(left, 0);
}

pub(crate) async fn one_notice_about_a_thing_is_open_at_a_time(fixture: Fixture) {
    let store = &fixture.store;
    let first = store.raise_notice(&notice("aa", NoticeLevel::Warning)).await.expect("raises");
    store.raise_notice(&notice("bb", NoticeLevel::Info)).await.expect("raises");
    fixture.clock.set(NOW.plus(LEASE));
    let again = store.raise_notice(&notice("aa", NoticeLevel::Error)).await.expect("raises");
    assert_eq!((again.id, again.count, again.level), (first.id, 2, NoticeLevel::Error));
    assert_eq!((again.first_at, again.last_at, again.detail.as_str()), (NOW, NOW.plus(LEASE), r#"{"days":3}"#));
    let about = NoticeKey::About(NoticeKind::CertificateExpiring, "aa");
    assert!(store.resolve_notice(about, "system").await.expect("resolves"));
    assert!(!store.resolve_notice(about, "system").await.expect("asks"));
    let next = store.raise_notice(&notice("aa", NoticeLevel::Info)).await.expect("raises");
    assert_ne!(next.id, first.id);
    assert!(store.resolve_notice(NoticeKey::Id(next.id), "root@x").await.expect("resolves"));
    let open = store.notice_page(NoticeFilter::Open, None, 9).await.expect("reads");
    assert_eq!(open.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["bb"]);
    let all = store.notice_page(NoticeFilter::All, None, 2).await.expect("reads");
    assert_eq!((all.len(), all[0].id, all[0].resolved_at), (2, next.id, Some(NOW.plus(LEASE))));
    let older = store.notice_page(NoticeFilter::All, Some(all[1].id), 9).await.expect("reads");
    assert_eq!(older.iter().map(|row| row.id).collect::<Vec<_>>(), [first.id]);
    let log = store.audit_log(None, 9).await.expect("reads");
    assert_eq!(log.iter().filter(|row| row.action == "notice.resolve").count(), 2);
    assert_eq!(store.sweep_notices(NOW.plus(2 * LEASE), 1).await.expect("sweeps"), 1);
    assert_eq!(store.sweep_notices(NOW.plus(2 * LEASE), 9).await.expect("sweeps"), 1);
}

pub(crate) async fn a_notice_is_mailed_once(fixture: Fixture) {
    let store = &fixture.store;
    let raised = store.raise_notice(&notice("aa", NoticeLevel::Warning)).await.expect("raises");
    let waiting = store.unmailed_notices(9).await.expect("reads");
    assert_eq!(waiting, std::slice::from_ref(&raised));
    store.mail_notices(&[raised.id], &[mail("notice")]).await.expect("stores");
    assert!(store.unmailed_notices(9).await.expect("reads").is_empty());
    assert_eq!(store.mail_backlog().await.expect("reads").waiting, 1);
    store.raise_notice(&notice("aa", NoticeLevel::Warning)).await.expect("raises");
    assert!(store.unmailed_notices(9).await.expect("reads").is_empty(), "it is the same notice");
}

pub(crate) async fn one_leads_until_its_lease_ends(fixture: Fixture) {
    let store = &fixture.store;
    let lead = async |holder: &str| store.try_lead("jobs", holder, LEASE).await.expect("asks");
    assert!(lead("one").await);
    assert!(!lead("two").await);
    assert!(store.try_lead("other", "two", LEASE).await.expect("asks"));
    fixture.pass(LEASE / 2).await;
    assert!(lead("one").await, "it is prolonged");
    fixture.pass(LEASE * 9 / 10).await;
    assert!(!lead("two").await);
    fixture.pass(LEASE / 10).await;
    let both = tokio::join!(lead("two"), lead("three"));
    assert!(both.0 ^ both.1, "{both:?}");
    assert!(!lead("one").await);
    let winner = if both.0 { "two" } else { "three" };
    store.end_lead("jobs", "one").await.expect("asks");
    assert!(!lead("one").await, "another's lease is not given back");
    store.end_lead("jobs", winner).await.expect("ends");
    assert!(lead("one").await);
}

fn heartbeat(id: &str, policy_version: u64, clock_ahead_ms: Option<i64>) -> Heartbeat {
    let faults = JournalFaults { damaged: policy_version, stale: 2, refused: 3 };
    let backlog = JournalBacklog { waiting: 7, oldest: clock_ahead_ms.map(|_| NOW) };
    let (id, name) = (id.into(), "proxy".into());
    Heartbeat { id, name, policy_version: Some(policy_version), clock_ahead_ms, faults, backlog }
}

pub(crate) async fn proxies_live_as_long_as_they_are_seen(fixture: Fixture) {
    let store = &fixture.store;
    let live = async || store.live_proxies(LEASE).await.expect("reads");
    assert_eq!(live().await, 0);
    assert!(store.journal_faults("one").await.expect("reads").is_none());
    let (one, two) = (heartbeat("one", 1, None), heartbeat("two", 1, Some(-1500)));
    store.proxies_seen(&[one.clone(), two.clone()]).await.expect("writes");
    assert_eq!(live().await, 2);
    fixture.pass(LEASE * 3 / 4).await;
    let newer = heartbeat("one", 2, Some(3));
    store.proxies_seen(std::slice::from_ref(&newer)).await.expect("writes");
    assert_eq!(live().await, 2);
    fixture.pass(LEASE / 2).await;
    assert_eq!(live().await, 1);
    let seen = store.seen_proxies().await.expect("reads");
    assert_eq!(seen.iter().map(|row| row.heartbeat.clone()).collect::<Vec<_>>(), [newer, two]);
    assert_eq!(store.journal_faults("one").await.expect("reads"), seen[0].heartbeat.faults);
    assert_eq!(store.sweep_proxies(seen[0].seen_at, 9).await.expect("sweeps"), 1);
    assert_eq!(store.seen_proxies().await.expect("reads").len(), 1);
}

fn worker(id: &str, held: u64) -> WorkerBeat {
    WorkerBeat {
        id: id.into(),
        name: "worker".into(),
        version: "1.2.3".into(),
        started_at: NOW,
        claimed: 1,
        held,
        in_flight: 3,
        registered_per_minute: 4,
        attempts_per_minute: 5,
        failing_seconds: 6,
        queue: "{}".into(),
    }
}

pub(crate) async fn workers_live_as_long_as_they_are_heard_of(fixture: Fixture) {
    let store = &fixture.store;
    let live = async || store.has_workers(LEASE).await.expect("reads");
    assert!(!live().await);
    for beat in [worker("one", 1), worker("two", 1), worker("one", 2)] {
        store.worker_seen(&beat).await.expect("writes");
    }
    assert!(live().await);
    let mut seen = store.seen_workers().await.expect("reads").into_iter().map(|row| row.beat).collect::<Vec<_>>();
    seen.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(seen, [worker("one", 2), worker("two", 1)]);
    store.worker_left("two").await.expect("forgets");
    fixture.pass(LEASE * 2).await;
    assert!(!live().await);
    let all = store.live_since(Duration::ZERO).await.expect("reads");
    assert_eq!((store.sweep_workers(NOW.minus(LEASE * 999_999), 9).await.expect("sweeps"), all > NOW), (0, true));
    assert_eq!(store.sweep_workers(all, 9).await.expect("sweeps"), 1);
    assert!(store.seen_workers().await.expect("reads").is_empty());
}

pub(crate) async fn a_trial_is_given_to_one_and_answered_to_who_asked(fixture: Fixture) {
    let (store, other) = (&fixture.store, fixture.second().await);
    let id = mb_core::AttemptId::from_bytes([7; 16]);
    assert!(!other.has_probes().await.expect("asks"));
    assert!(store.ask_probe(id, "what to try").await.expect("asks"));
    assert!(other.has_probes().await.expect("asks"));
    let (one, two) = tokio::join!(other.take_probes(), store.take_probes());
    assert_eq!([one.expect("takes"), two.expect("takes")].concat(), ["what to try"], "one has it");
    assert!(!store.has_probes().await.expect("asks"));
    assert_eq!(store.probe_report(id).await.expect("asks"), None);
    other.answer_probe(id, b"how it went").await.expect("answers");
    assert_eq!(store.probe_report(id).await.expect("asks").as_deref(), Some(&b"how it went"[..]));
    store.forget_probe(id).await.expect("forgets");
    assert_eq!(store.probe_report(id).await.expect("asks"), None);
    other.answer_probe(id, b"too late").await.expect("nobody waits");
    let mut asked = 0_u8;
    while store.ask_probe(mb_core::AttemptId::from_bytes([asked; 16]), "").await.expect("asks") {
        asked += 1;
    }
    assert_eq!(asked, 64);
    other.close().await;
}

pub(crate) async fn a_database_describes_itself(fixture: Fixture) {
    let store = &fixture.store;
    store.enqueue_mail(&mail("one")).await.expect("stores");
    let mb_store::DatabaseDescription { described, bytes, migrations } = store.describe().await.expect("describes");
    assert!(bytes > 0 && migrations.iter().all(|migration| migration.applied));
    assert!(described.tables.contains_key("messages") && described.tables.contains_key("mail_outbox"));
    assert!(described.version.starts_with(|c: char| c.is_ascii_digit()), "{}", described.version);
    assert_eq!(described.pools.len(), 2);
    assert!(described.pools.iter().all(|pool| pool.in_use + pool.idle <= pool.max), "{:?}", described.pools);
    match fixture.place {
        crate::fixture::Place::Files(_) => {
            assert_eq!(described.product, DatabaseProduct::Sqlite);
            let (mails, file) = (&described.tables["mail_outbox"], described.file.expect("a file"));
            assert_eq!(mails.rows, 1);
            assert!(mails.bytes.is_some_and(|bytes| bytes >= 4096) && file.wal > 0, "{mails:?} {file:?}");
        }
        crate::fixture::Place::Server(_) => {
            assert_ne!(described.product, DatabaseProduct::Sqlite);
            assert!(described.tables.values().all(|table| table.bytes.is_some()) && described.file.is_none());
        }
    }
}

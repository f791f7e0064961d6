//! Register and what it is asked about later: confirm and status.

use std::time::Duration;

use mb_api::dto::RegisterResult::{Duplicate, Stored};
use mb_core::{ClientName, Envelope, MessageState, Role};
use mb_crypto::ca::{Ca, IssueRequest};
use mb_crypto::idempotency;

use super::fixture::{Fixture, NOW, id, quarantined, refused};
use crate::authority::Which;

fn demo() -> ClientName {
    ClientName::parse("demo").expect("valid")
}

/// Revokes the first proxy's certificate.
async fn revoke_proxy(fixture: &Fixture) {
    let which = Which::Name("proxy".into(), None);
    fixture.server.authority().revoke(&which, "stolen", "test").await.expect("revokes");
    fixture.server.app.policy.refresh(&fixture.store).await.expect("refreshes");
}

#[tokio::test]
async fn a_message_is_stored_once_and_then_a_duplicate() {
    let fixture = Fixture::new().await;
    let envelopes = [fixture.key.message(1), fixture.key.message(2)];
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored]);
    assert_eq!(fixture.register(&envelopes).await, [Duplicate, Duplicate]);
    // Without the record: the store has it.
    assert_eq!(fixture.register_with(&[], &[fixture.key.message(3)]).await, [Stored]);
    let row = fixture.store.message(id(1)).await.expect("reads").expect("is there");
    assert_eq!(row.sealed, Envelope::parse(&envelopes[0]).expect("an envelope").sealed);
    assert_eq!((row.status, row.delivered_at), (MessageState::Delivered, Some(NOW)));
    assert!(row.sender_number_hashed.is_some());
    assert!(fixture.dead_letters().await.is_empty());
}

#[tokio::test]
async fn no_flipped_bit_gets_in() {
    let fixture = Fixture::new().await;
    let whole = fixture.key.message(1);
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut envelope = whole.clone();
        envelope[bit / 8] ^= 1 << (bit % 8);
        envelope
    });
    let results = fixture.register(&flipped.collect::<Vec<_>>()).await;
    let known = ["seal_invalid", "envelope_malformed", "key_unknown"].map(refused);
    assert!(results.iter().all(|result| known.contains(result)), "{results:?}");
    assert_eq!(results.last(), Some(&refused("seal_invalid")), "the tag");
    let mut header = fixture.key.header(id(1));
    header.client = ClientName::parse("other").expect("valid");
    let mut forged = Vec::new();
    header.encode(&mut forged);
    forged.extend_from_slice(Envelope::parse(&whole).expect("an envelope").sealed);
    assert_eq!(fixture.register(&[forged, whole]).await, [refused("seal_invalid"), Stored]);
}

#[tokio::test]
async fn keys_of_others_than_proxies_are_refused() {
    let fixture = Fixture::new().await;
    let worker = fixture.issue("worker", Role::Worker).await;
    let foreign = Ca::create("test CA", NOW).expect("a CA");
    let validity = Duration::from_hours(24);
    let request = IssueRequest { name: "proxy", role: Role::Proxy, domain: None, sans: &[], validity, now: NOW };
    let foreign = foreign.issue(&request).expect("issues");
    let envelopes = [fixture.key.message(1)];
    for forger in [&worker, &foreign] {
        let record = fixture.key.signed_by(forger);
        assert_eq!(fixture.register_with(&[&record], &envelopes).await, [refused("key_signature_invalid")]);
    }
    assert_eq!(fixture.register_with(&[], &envelopes).await, [refused("key_unknown")]);
    let mut tampered = fixture.key.record.clone();
    tampered.wrapped[0] ^= 1;
    assert_eq!(fixture.register_with(&[&tampered], &envelopes).await, [refused("key_signature_invalid")]);
    // A forged record beside the true one changes nothing.
    let (forged, genuine) = (fixture.key.signed_by(&worker), fixture.key.signed_by(&fixture.proxy));
    assert_eq!(fixture.register_with(&[&forged, &genuine], &envelopes).await, [Stored]);
}

#[tokio::test]
async fn what_a_revoked_proxy_signed_is_quarantined_and_counts_as_present() {
    let fixture = Fixture::new().await;
    let stored = fixture.key.message(1);
    assert_eq!(fixture.register(std::slice::from_ref(&stored)).await, [Stored]);
    let other = fixture.new_key(&fixture.issue("second", Role::Proxy).await);
    revoke_proxy(&fixture).await;
    let fresh = fixture.key.message(2);
    let results = fixture.register(&[stored, fresh.clone()]).await;
    assert_eq!(results, [Duplicate, quarantined("proxy_revoked")], "what was stored before stays a message");
    assert_eq!(fixture.register(&[fresh]).await, [quarantined("proxy_revoked")]);
    assert_eq!(fixture.dead_letters().await, [(id(2), "proxy_revoked".to_owned())]);
    assert_eq!(fixture.register_with(&[&other.record], &[other.message(3)]).await, [Stored]);
    let proxy = fixture.client(Role::Proxy).await;
    let answer = proxy.confirm((1..=4).map(id).collect()).await.expect("answers");
    assert_eq!(answer.lacking, [id(4)]);
}

#[tokio::test]
async fn a_revoked_proxy_stays_so_after_its_certificate_has_expired() {
    let fixture = Fixture::new().await;
    revoke_proxy(&fixture).await;
    fixture.clock.set(NOW.plus(Duration::from_hours(24 * 366)));
    fixture.server.app.policy.refresh(&fixture.store).await.expect("refreshes");
    assert!(fixture.server.policy().borrow().revoked.is_empty(), "it opens no connection any more");
    let mut header = fixture.key.header(id(1));
    header.queued_at = fixture.clock.now();
    let results = fixture.register(&[fixture.key.seal(&header, "forged later")]).await;
    assert_eq!(results, [quarantined("proxy_revoked")]);
}

#[tokio::test]
async fn what_is_older_than_any_row_is_stale_unless_it_is_there() {
    let fixture = Fixture::new().await;
    let (known, late) = (fixture.key.message(1), fixture.key.message(2));
    assert_eq!(fixture.register(std::slice::from_ref(&known)).await, [Stored]);
    let horizon = NOW.plus(Duration::from_hours(24 * 30));
    fixture.clock.set(horizon);
    assert_eq!(fixture.register(&[fixture.key.message(3)]).await, [Stored], "just in time");
    fixture.clock.set(horizon.plus(Duration::from_micros(1)));
    assert_eq!(fixture.register(&[known, late]).await, [Duplicate, quarantined("stale")]);
    assert_eq!(fixture.dead_letters().await, [(id(2), "stale".to_owned())]);
}

#[tokio::test]
async fn of_two_contents_under_an_idempotency_key_the_first_stands() {
    let fixture = Fixture::new().await;
    let header = fixture.key.header(idempotency::message_id(&demo(), "order-1"));
    let first = fixture.key.seal(&header, "first");
    assert_eq!(fixture.register(std::slice::from_ref(&first)).await, [Stored]);
    let (again, other) = (fixture.key.seal(&header, "first"), fixture.key.seal(&header, "second"));
    let results = fixture.register(&[again, other.clone()]).await;
    assert_eq!(results, [Duplicate, quarantined("idempotency_conflict")], "the same content sealed anew is a repeat");
    let row = fixture.store.message(header.message_id).await.expect("reads").expect("is there");
    assert_eq!(row.sealed, Envelope::parse(&first).expect("an envelope").sealed);
    assert_eq!(fixture.dead_letters().await, [(header.message_id, "idempotency_conflict".to_owned())]);
    // Past the horizon too: a repeat is one, another content is kept.
    fixture.clock.set(NOW.plus(Duration::from_hours(24 * 31)));
    let results = fixture.register(&[first, other]).await;
    assert_eq!(results, [Duplicate, quarantined("idempotency_conflict")]);
    assert_eq!(fixture.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn a_malformed_envelope_hinders_no_other_and_confirm_asks_for_what_was_refused() {
    let fixture = Fixture::new().await;
    let mut broken = fixture.key.message(2);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let envelopes = [fixture.key.message(1), b"nonsense".to_vec(), Vec::new(), broken, fixture.key.message(3)];
    let malformed = || refused("envelope_malformed");
    let results = fixture.register(&envelopes).await;
    assert_eq!(results, [Stored, malformed(), malformed(), refused("seal_invalid"), Stored]);
    let proxy = fixture.client(Role::Proxy).await;
    let answer = proxy.confirm((1..=4).map(id).collect()).await.expect("answers");
    assert_eq!(answer.lacking, [id(2), id(4)]);
    assert_eq!(answer.epoch.as_bytes(), &fixture.store.epoch().await.expect("reads"));
}

#[tokio::test]
async fn a_client_is_told_of_its_own_messages_alone() {
    let fixture = Fixture::new().await;
    let mut foreign = fixture.key.header(id(2));
    foreign.client = ClientName::parse("other").expect("valid");
    let envelopes = [fixture.key.message(1), fixture.key.seal(&foreign, "secret")];
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored]);
    let proxy = fixture.client(Role::Proxy).await;
    let answer = proxy.status(demo(), (1..=3).map(id).collect(), None).await.expect("answers");
    assert_eq!(answer.data.iter().map(|status| status.message_id).collect::<Vec<_>>(), [id(1)]);
    // That it is another's is said of one id alone, so that the proxy need not wait for it.
    for (asked, elsewhere) in [(id(1), vec![]), (id(2), vec![id(2)]), (id(3), vec![])] {
        let answer = proxy.status(demo(), vec![asked], None).await.expect("answers");
        assert_eq!(answer.elsewhere, elsewhere);
    }
}

#[tokio::test]
async fn expired_and_scheduled_messages_are_stored_as_such() {
    let fixture = Fixture::new().await;
    let (mut expired, mut scheduled) = (fixture.key.header(id(1)), fixture.key.header(id(2)));
    expired.expires_at = Some(NOW);
    scheduled.deliver_at = Some(NOW.plus(Duration::from_hours(1)));
    let envelopes = [fixture.key.seal(&expired, "too late"), fixture.key.seal(&scheduled, "later")];
    assert_eq!(fixture.register(&envelopes).await, [Stored, Stored]);
    let proxy = fixture.client(Role::Proxy).await;
    for (after, second) in [(0, MessageState::Queued), (2, MessageState::Delivered)] {
        fixture.clock.set(NOW.plus(Duration::from_hours(after)));
        let mut rows = proxy.status(demo(), vec![id(1), id(2)], None).await.expect("answers").data;
        rows.sort_by_key(|row| row.message_id);
        let states = rows.iter().map(|row| row.status).collect::<Vec<_>>();
        assert_eq!(states, [MessageState::Expired, second]);
        assert_eq!(rows[0].delivered_at, None);
    }
}

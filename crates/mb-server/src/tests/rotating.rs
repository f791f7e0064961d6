//! Master keys are rotated: nothing becomes unreadable, and what is damaged is never served.

use mb_api::dto::{KeyState, RegisterResult};
use mb_core::{KeyId, Role};
use mb_crypto::master::MasterKeys;
use serde_json::json;

use super::fixture::{Fixture, Key, id, new_key};

const KEYS: &str = "/admin/keys";

/// A data key that the proxy wraps to what is active now.
fn key_now(fixture: &Fixture) -> Key {
    new_key(&fixture.server.app.master.public(), &fixture.proxy, fixture.clock.now())
}

async fn accept(fixture: &Fixture, key: &Key, n: u8, body: &str) {
    let stored = fixture.register_with(&[&key.record], &[key.seal(&key.header(id(n)), body)]).await;
    assert_eq!(stored, [RegisterResult::Stored]);
}

/// The bodies of the messages as an admin reads them; of those that do not open, the answer's detail.
async fn read(fixture: &Fixture, messages: &[u8]) -> Vec<String> {
    let admin = fixture.certificate(Role::Admin).await;
    let mut bodies = Vec::new();
    for n in messages {
        let answer = admin.get(&format!("/portal/messages/{}", id(*n))).await;
        let text = if answer.status == 200 { "message_body" } else { "detail" };
        bodies.push(answer.body[text].as_str().expect("text").to_owned());
    }
    bodies
}

/// Seals everything anew; how many.
async fn rewrap(fixture: &Fixture) -> u64 {
    let admin = fixture.certificate(Role::Admin).await;
    let (mut count, mut cursor) = (0, json!(null));
    loop {
        let ask = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let step = admin.post("/admin/keys/rewrap", ask).await;
        assert_eq!(step.status, 200, "{step:?}");
        count += step.body["rewrapped"].as_u64().expect("a number");
        cursor = step.body["next"].clone();
        if cursor.is_null() {
            assert_eq!(step.body["left"], 0);
            return count;
        }
    }
}

async fn rotate(fixture: &Fixture) -> KeyId {
    let answer = fixture.certificate(Role::Admin).await.post("/admin/keys/rotate", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    KeyId::parse(answer.body["id"].as_str().expect("an id")).expect("an id")
}

async fn delete(fixture: &Fixture, key: KeyId) -> (u16, String) {
    let answer = fixture.certificate(Role::Admin).await.delete(&format!("{KEYS}/{key}")).await;
    (answer.status, answer.body["detail"].as_str().unwrap_or_default().to_owned())
}

async fn report(fixture: &Fixture, keys: &[KeyId]) {
    let proxy = fixture.client(Role::Proxy).await;
    let report = mb_api::dto::KeyReport { journal: KeyId::from_bytes([7; 16]), master_keys: keys.to_vec() };
    proxy.report_keys(&report).await.expect("taken");
    // The fixture's own proxy, by its name.
    let own = mb_api::Peer::in_process(std::sync::Arc::new(fixture.proxy.identity.clone()));
    let report = mb_api::dto::KeyReport { journal: KeyId::from_bytes([8; 16]), ..report };
    fixture.client_of(own).report_keys(&report).await.expect("taken");
}

#[tokio::test]
async fn a_rotation_leaves_everything_readable_and_is_announced() {
    let fixture = Fixture::new().await;
    let first = fixture.server.app.master.active().id();
    accept(&fixture, &key_now(&fixture), 1, "before").await;
    let version = fixture.server.app.policy.current().version;
    let second = rotate(&fixture).await;
    let policy = fixture.server.app.policy.current();
    assert_eq!((policy.master_key.id, policy.version > version), (second, true));
    // A proxy that has not heard of it yet still wraps to the old key.
    accept(&fixture, &fixture.new_key(&fixture.proxy), 2, "late").await;
    accept(&fixture, &key_now(&fixture), 3, "after").await;
    assert_eq!(read(&fixture, &[1, 2, 3]).await, ["before", "late", "after"]);
    let keys = fixture.certificate(Role::Admin).await.get(KEYS).await.body["data"].clone();
    assert_eq!((&keys[0]["id"], &keys[0]["state"]), (&json!(second), &json!(KeyState::Active)));
    assert_eq!((&keys[1]["id"], &keys[1]["state"]), (&json!(first), &json!(KeyState::Retired)));
    // Two data keys, the search key and the audit chain's.
    assert_eq!((&keys[0]["uses"], &keys[1]["uses"]), (&json!(1), &json!(4)));
}

#[tokio::test]
async fn after_sealing_anew_the_old_key_may_go_once_no_proxy_needs_it() {
    let fixture = Fixture::new().await;
    let first = fixture.server.app.master.active().id();
    accept(&fixture, &key_now(&fixture), 1, "before").await;
    let number = fixture.certificate(Role::Admin).await.get("/portal/messages?sender=%2B4915112345678").await;
    let second = rotate(&fixture).await;
    assert_eq!(delete(&fixture, second).await.0, 409, "it is active");
    let refused = delete(&fixture, first).await;
    assert!(refused.0 == 409 && refused.1.contains("keys rewrap"), "{refused:?}");
    assert_eq!(rewrap(&fixture).await, 3);
    assert_eq!(rewrap(&fixture).await, 0, "everything is passed by");
    let refused = delete(&fixture, first).await;
    assert!(refused.0 == 409 && refused.1.contains("has never said"), "{refused:?}");
    report(&fixture, &[first, second]).await;
    let refused = delete(&fixture, first).await;
    assert!(refused.0 == 409 && refused.1.contains("journal of a-proxy"), "{refused:?}");
    report(&fixture, &[second]).await;
    assert_eq!(delete(&fixture, first).await.0, 204);
    assert_eq!(delete(&fixture, first).await.0, 404);
    fixture.server.app.keys.forget_all();
    assert_eq!(read(&fixture, &[1]).await, ["before"]);
    let again = fixture.certificate(Role::Admin).await.get("/portal/messages?sender=%2B4915112345678").await;
    assert_eq!(again.each("id"), number.each("id"), "numbers are still found");
    // What comes under the old key is refused by itself.
    let old = fixture.new_key(&fixture.proxy);
    let (bad, good) = (old.seal(&old.header(id(8)), "old"), key_now(&fixture));
    let envelopes = [bad, good.seal(&good.header(id(9)), "new")];
    let results = fixture.register_with(&[&old.record, &good.record], &envelopes).await;
    let refused = RegisterResult::Refused("key_not_for_this_server".into());
    assert_eq!(results, [refused, RegisterResult::Stored]);
}

#[tokio::test]
async fn sealing_anew_says_how_far_it_is_and_goes_on_where_it_was_broken_off() {
    const KEYS: u8 = 210;
    let fixture = Fixture::new().await;
    for n in 0..KEYS {
        accept(&fixture, &key_now(&fixture), n, "under a key of its own").await;
    }
    rotate(&fixture).await;
    let admin = fixture.certificate(Role::Admin).await;
    let step = |cursor: serde_json::Value| {
        let ask = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let admin = &admin;
        async move { admin.post("/admin/keys/rewrap", ask).await.ok(200) }
    };
    // The search key and the audit chain's, then data keys as far as one step goes.
    let settings = step(json!(null)).await;
    assert_eq!((&settings["rewrapped"], &settings["left"]), (&json!(2), &json!(KEYS)));
    let keys = step(settings["next"].clone()).await;
    assert_eq!((&keys["rewrapped"], &keys["left"]), (&json!(200), &json!(10)));
    // Whoever asked went away. The next one begins anew and does what is left, no more.
    assert_eq!(rewrap(&fixture).await, 10);
    assert_eq!(read(&fixture, &[0, 100, KEYS - 1]).await, ["under a key of its own"; 3]);
}

#[tokio::test]
async fn a_proxy_that_is_no_more_is_waited_for_no_more() {
    let fixture = Fixture::new().await;
    let first = fixture.server.app.master.active().id();
    rotate(&fixture).await;
    rewrap(&fixture).await;
    report(&fixture, &[first]).await;
    assert_eq!(delete(&fixture, first).await.0, 409);
    let admin = fixture.certificate(Role::Admin).await;
    for journal in [7, 8] {
        let path = format!("{KEYS}/proxies/{}", KeyId::from_bytes([journal; 16]));
        assert_eq!(admin.delete(&path).await.status, 204);
        assert_eq!(admin.delete(&path).await.status, 404);
    }
    for row in fixture.store.certificates(&mb_store::CertificateFilter::default()).await.expect("reads") {
        if row.role == Role::Proxy {
            let target = mb_store::RevokeTarget::Name(row.name, vec![Role::Proxy]);
            fixture.store.revoke(&target, "", "test").await.expect("revokes");
        }
    }
    assert_eq!(delete(&fixture, first).await, (204, String::new()));
}

#[tokio::test]
async fn a_main_server_without_the_key_holds_the_rotation_back() {
    let fixture = Fixture::new().await;
    let other = KeyId::from_bytes([9; 16]);
    let report = |keys: Vec<KeyId>| mb_store::KeyReport {
        reporter: other,
        role: Role::Server,
        name: "main-server-b".into(),
        master_keys: keys.into_iter().collect(),
        reported_at: fixture.clock.now(),
    };
    let first = fixture.server.app.master.active().id();
    fixture.store.report_keys(&report(vec![first])).await.expect("writes");
    let admin = fixture.certificate(Role::Admin).await;
    let refused = admin.post("/admin/keys/rotate", json!({})).await;
    assert_eq!((refused.status, refused.code()), (409, "conflict"));
    assert!(refused.body["detail"].as_str().expect("text").contains("main-server-b"), "{refused:?}");
    assert_eq!(fixture.server.app.master.active().id(), first);
    let prepared = fixture.server.app.master.list()[1].0;
    fixture.store.report_keys(&report(vec![first, prepared])).await.expect("writes");
    assert_eq!(rotate(&fixture).await, prepared);
}

#[tokio::test]
async fn an_announced_key_is_taken_into_use_only_if_it_was_prepared_here() {
    let fixture = Fixture::new().await;
    let app = &fixture.server.app;
    let first = app.master.active().id();
    let prepared = app.master.prepare().expect("prepared");
    app.store.announce_master_key("master_key", prepared, "another").await.expect("writes");
    crate::master_keys::follow(app).await.expect("follows");
    assert_eq!((app.master.active().id(), app.policy.current().master_key.id), (prepared, prepared));
    // Whoever can write to the database brings back no old key, and no key of their own.
    let foreign = MasterKeys::generate().expect("a key").active().id();
    for other in [first, foreign] {
        app.store.announce_master_key("master_key", other, "intruder").await.expect("writes");
        crate::master_keys::follow(app).await.expect("follows");
        assert_eq!((app.master.active().id(), app.policy.current().master_key.id), (prepared, prepared));
    }
}

#[tokio::test]
async fn the_audit_log_verifies_across_a_rotation_and_a_restart() {
    let fixture = Fixture::new().await;
    let app = &fixture.server.app;
    crate::audit::chain::extend(app).await.expect("chains");
    let first = app.master.active().id();
    rotate(&fixture).await;
    rewrap(&fixture).await;
    crate::audit::chain::extend(app).await.expect("chains");
    report(&fixture, &[]).await;
    assert_eq!(delete(&fixture, first).await.0, 204);
    let wrapped = fixture.store.setting(crate::shared_secrets::CHAIN_KEY).await.expect("reads").expect("there");
    let kept = mb_crypto::audit::ChainKey::unwrap(&app.master, &wrapped).expect("opens without the old key");
    for row in fixture.store.audit_chain(0, 1000).await.expect("reads") {
        assert_eq!(kept.link(&row.prev_hash, &row.entry.record()), row.hash, "{}", row.entry.action);
    }
}

#[tokio::test]
async fn swapped_cut_and_changed_ciphertext_is_reported_and_never_served() {
    let fixture = Fixture::new().await;
    let key = key_now(&fixture);
    for n in 1..=5 {
        accept(&fixture, &key, n, &format!("body {n}")).await;
    }
    let row = |n: u8| format!("message_id = x'{}'", mb_core::hex::encode(id(n).as_bytes()));
    let swap = |to: u8, from: u8| {
        let source = format!("(SELECT encrypted_body FROM messages WHERE {})", row(from));
        format!("UPDATE messages SET encrypted_body = {source} WHERE {}", row(to))
    };
    fixture.execute(&swap(1, 2)).await;
    let body = fixture.execute_text(&format!("SELECT encrypted_body FROM messages WHERE {}", row(3))).await.remove(0);
    let (mut flipped, cut) = (body.clone(), &body[..body.len() - 1]);
    flipped[20] ^= 1;
    for (n, bytes) in [(3, &flipped[..]), (4, cut)] {
        let bytes = mb_core::hex::encode(bytes);
        fixture.execute(&format!("UPDATE messages SET encrypted_body = x'{bytes}' WHERE {}", row(n))).await;
    }
    let texts = read(&fixture, &[1, 2, 3, 4, 5]).await;
    for n in [0, 2, 3] {
        assert!(texts[n].contains("its seal is broken"), "{}", texts[n]);
    }
    assert_eq!([&texts[1], &texts[4]], ["body 2", "body 5"], "the others go on");
    let notices = fixture.certificate(Role::Admin).await.get("/admin/notices").await;
    let kinds = notices.each("kind");
    assert_eq!(kinds.iter().filter(|kind| **kind == json!("message_unreadable")).count(), 3, "{notices:?}");
    assert!(!notices.body.to_string().contains("body 2"));
}

#[tokio::test]
async fn a_message_under_a_master_key_that_is_not_here_names_it_and_hinders_no_other() {
    let fixture = Fixture::new().await;
    let key = key_now(&fixture);
    accept(&fixture, &key, 1, "readable").await;
    accept(&fixture, &fixture.new_key(&fixture.proxy), 2, "of another key").await;
    let foreign = MasterKeys::generate().expect("a key");
    let mut lost = fixture.new_key(&fixture.proxy);
    lost.record.master_key_id = foreign.active().id();
    let record = lost.signed_by(&fixture.proxy);
    let newest = "(SELECT key_id FROM messages ORDER BY seq DESC LIMIT 1)";
    let bytes = mb_core::hex::encode(&record.encode());
    fixture.execute(&format!("UPDATE data_keys SET record = x'{bytes}' WHERE key_id = {newest}")).await;
    fixture.server.app.keys.forget_all();
    let texts = read(&fixture, &[1, 2]).await;
    assert_eq!(texts[0], "readable");
    assert!(texts[1].contains(&foreign.active().id().to_string()), "{}", texts[1]);
}

#[tokio::test]
async fn what_does_not_open_is_delivered_nowhere_and_said_of_that_message_alone() {
    let fixture = Fixture::new().await;
    let admin = fixture.certificate(Role::Admin).await;
    fixture.issue("demo", Role::Client).await;
    let inbox = json!({ "name": "inbox", "kind": "pull", "settings": { "retry": "fixed:1s*1" } });
    assert_eq!(admin.post("/admin/destinations", inbox).await.status, 201);
    fixture.server.app.delivering.follow(&fixture.store).await.expect("reads");
    let (key, lost) = (key_now(&fixture), key_now(&fixture));
    for (n, key) in [(1, &key), (2, &lost), (3, &key)] {
        accept(&fixture, key, n, &format!("body {n}")).await;
    }
    let foreign = MasterKeys::generate().expect("a key").active().id();
    let mut record = lost;
    record.record.master_key_id = foreign;
    let bytes = mb_core::hex::encode(&record.signed_by(&fixture.proxy).encode());
    let row = format!("key_id = (SELECT key_id FROM messages WHERE message_id = x'{}')", hex(2));
    fixture.execute(&format!("UPDATE data_keys SET record = x'{bytes}' WHERE {row}")).await;
    fixture.server.app.keys.forget_all();
    let consumer = fixture.certificate(Role::Consumer).await;
    let pulled = consumer.post("/api/v1/pull/inbox", json!({ "max": 10 })).await.ok(200);
    let bodies = pulled["data"].as_array().expect("a list").iter().map(|row| row["message"]["message_body"].clone());
    assert_eq!(bodies.collect::<Vec<_>>(), [json!("body 1"), json!("body 3")]);
    let shown = admin.get(&format!("/portal/messages/{}?body=false", id(2))).await.ok(200);
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["class"], "unsendable");
    assert!(attempt["detail"].as_str().expect("text").contains(&foreign.to_string()), "it names the key: {attempt}");
    let notices = admin.get("/admin/notices").await;
    assert_eq!(notices.each("kind"), [json!("message_unreadable")], "{notices:?}");
    // Tried once more, then a dead letter with its reason; the others are not affected.
    fixture.clock.set(fixture.clock.now().plus(std::time::Duration::from_secs(5)));
    assert_eq!(consumer.post("/api/v1/pull/inbox", json!({})).await.ok(200)["data"], json!([]));
    assert_eq!(fixture.dead_letters().await.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(2)]);
}

fn hex(n: u8) -> String {
    mb_core::hex::encode(id(n).as_bytes())
}

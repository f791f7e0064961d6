//! Several main servers on one database: they take turns, agree, and never store anything twice.

use std::time::Duration;

use mb_core::{DestinationKind, UserRole};
use mb_store::{NewMail, Registered, Store, StoreError};

use crate::delivering::{destination, lease, register};
use crate::fixture::{Fixture, NOW, batch, client, data_key, dead_letter, domain, id, message};
use crate::people::user;
use crate::server::{Database, administer};

pub(crate) async fn servers_that_start_together_migrate_once(fixture: Fixture) {
    let mut beside = fixture.beside().await;
    let name = format!("{}_again", fixture.database().name);
    beside.run(&format!("CREATE DATABASE {name}")).await;
    let address = format!("mysql://root@127.0.0.1:{}/{name}", fixture.database().port);
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (address, clock) = (address.clone(), fixture.clock.clone());
        starting.spawn(async move {
            let store = Store::open(&address, clock).await.expect("opens");
            let applied = store.migrate().await.expect("migrates").len();
            (applied, store.epoch().await.expect("reads"))
        });
    }
    let outcomes = starting.join_all().await;
    let migrated = outcomes.iter().filter(|(applied, _)| *applied > 0).count();
    assert_eq!(migrated, 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|(_, epoch)| *epoch == outcomes[0].1));
    beside.run(&format!("DROP DATABASE {name}")).await;
}

pub(crate) async fn servers_that_register_the_same_store_it_once(fixture: Fixture) {
    let stores = [fixture.store.clone(), fixture.second().await, fixture.second().await];
    let mut running = tokio::task::JoinSet::new();
    for call in 0..30_u32 {
        let store = stores[call as usize % 3].clone();
        running.spawn(async move {
            // Half of the calls go through the ids backwards, so that servers wait for each other's rows.
            let mut messages = (call / 6 * 20..call / 6 * 20 + 200).map(message).collect::<Vec<_>>();
            if call % 2 == 1 {
                messages.reverse();
            }
            let call = mb_store::RegisterBatch {
                keys: vec![data_key(9, "key")],
                dead_letters: vec![dead_letter(9999, "raw")],
                ..batch(messages)
            };
            let answers = store.register(call).await.expect("registers").messages;
            answers.iter().filter(|answer| **answer == Registered::Stored).count()
        });
    }
    let counted = running.join_all().await.iter().sum::<usize>();
    let ids = (0..400).map(id).collect::<Vec<_>>();
    let there = fixture.store.statuses(None, &ids).await.expect("reads").len();
    assert_eq!((counted, there), (280, 280));
    assert_eq!(fixture.store.dead_letters(None, 9).await.expect("reads").len(), 1);
    let counts = fixture.store.event_counts(None, NOW, NOW.plus(Duration::from_hours(1))).await.expect("reads");
    assert_eq!(counts[&mb_store::CounterEvent::Registered], 280);
}

pub(crate) async fn whoever_is_chosen_to_give_way_tries_again(fixture: Fixture) {
    let store = &fixture.store;
    let mut other = fixture.beside().await;
    other.run("START TRANSACTION").await;
    // Of two who wait for each other the one that has changed less gives way.
    let keys = (0..200).map(|n| format!("('{n}', x'00')")).collect::<Vec<_>>().join(", ");
    other.run(&format!("INSERT INTO settings (name, value) VALUES {keys}")).await;
    let insert = |n: u32| {
        format!(
            "INSERT INTO messages (message_id, client_id, domain, topic, queued_at, key_id, encrypted_body, status, \
             registered_at) VALUES (x'{}', 'other', 'default', 'default', UTC_TIMESTAMP(6), x'{}', '', 'delivered', \
             UTC_TIMESTAMP(6))",
            id(n).to_string().replace('-', ""),
            "09".repeat(16),
        )
    };
    other.run(&insert(2)).await;
    let registering = store.register(batch(vec![message(1), message(2), message(3)]));
    let (answer, ()) = tokio::join!(registering, async {
        waits_for_a_lock(&fixture).await;
        other.run(&insert(1)).await;
        other.run("COMMIT").await;
    });
    let answers = answer.expect("registers").messages;
    let stored = answers.iter().map(|answer| *answer == Registered::Stored).collect::<Vec<_>>();
    assert_eq!(stored, [false, false, true]);
}

/// What the server says of locks is made anew only if nobody has asked for a tenth of a second.
async fn waits_for_a_lock(fixture: &Fixture) {
    let mut beside = fixture.beside().await;
    let sql = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    while beside.number(sql).await == 0 {
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

pub(crate) async fn who_looks_and_then_acts_takes_turns(fixture: Fixture) {
    let (one, two) = (&fixture.store, &fixture.second().await);
    for round in 0..10_u8 {
        let name = format!("key-{round}");
        let (a, b) = tokio::join!(one.setting_or_insert(&name, b"a", "one"), two.setting_or_insert(&name, b"b", "two"));
        assert_eq!(a.expect("agrees"), b.expect("agrees"));
        let c = client(&format!("c{round}"));
        let of = [domain("eu"), domain("us")];
        let (a, b) = tokio::join!(one.ensure_client(&c, &of[0], "ca"), two.ensure_client(&c, &of[1], "ca"));
        assert!(a.is_ok() ^ b.is_ok(), "a client is in one domain: {a:?} {b:?}");
    }
    let first = user(one, "one@x", UserRole::Admin).await;
    let second = user(one, "two@x", UserRole::Admin).await;
    let (a, b) =
        tokio::join!(one.delete_user(first.id, &UserRole::ALL, "x"), two.delete_user(second.id, &UserRole::ALL, "x"));
    assert!(a.is_ok() ^ b.is_ok(), "an admin stays: {a:?} {b:?}");
    assert_eq!(one.count_admins().await.expect("reads"), 1);
    let before = one.policy_version().await.expect("reads");
    let changes = (0..20_u32).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        async move {
            let limit = Some(n + 1);
            let set = store.set_client_rate_limit(&client(&format!("c{}", n % 10)), limit, "root").await.expect("sets");
            set.expect("is there").rate_limit
        }
    });
    let mut running = tokio::task::JoinSet::new();
    changes.for_each(|change| drop(running.spawn(change)));
    running.join_all().await;
    assert_eq!(two.policy_version().await.expect("reads"), before + 20, "no change is lost");
}

pub(crate) async fn a_mail_is_leased_by_one_server_at_a_time(fixture: Fixture) {
    let (one, two) = (fixture.store.clone(), fixture.second().await);
    for n in 0..40 {
        let mail = NewMail { to: "a@x".into(), subject: n.to_string(), body: "body".into(), expires_at: None };
        one.enqueue_mail(&mail).await.expect("stores");
    }
    let mut running = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        running.spawn(async move { store.lease_mail(10, Duration::from_mins(1)).await.expect("leases") });
    }
    let mut subjects = running.join_all().await.concat().into_iter().map(|mail| mail.subject).collect::<Vec<_>>();
    let leased = subjects.len();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), leased, "none is leased twice");
    assert!(leased >= 10, "and locked rows are passed by");
}

pub(crate) async fn servers_that_lease_at_once_get_each_delivery_once(fixture: Fixture) {
    let hook = destination(&fixture.store, "hook", DestinationKind::Webhook).await.route.id;
    register(&fixture.store, 0..600, &[hook]).await;
    let stores = [fixture.store.clone(), fixture.second().await, fixture.second().await];
    let mut running = tokio::task::JoinSet::new();
    for worker in 0..6_u8 {
        let store = stores[usize::from(worker) % 3].clone();
        running.spawn(async move {
            let mut leased = Vec::new();
            // What another holds for a moment is passed over, so one empty answer says nothing.
            for turn in 0..20 {
                let deliveries = lease(&store, worker * 20 + turn, 20).await;
                leased.extend(deliveries.iter().map(|delivery| delivery.message.header.message_id));
            }
            leased
        });
    }
    let leased = running.join_all().await.concat();
    let mut rest =
        lease(&fixture.store, 255, 600).await.iter().map(|one| one.message.header.message_id).collect::<Vec<_>>();
    rest.extend(&leased);
    rest.sort_unstable();
    assert_eq!(rest, (0..600).map(id).collect::<Vec<_>>(), "each once");
    assert!(leased.len() >= 300, "most of them at once: {}", leased.len());
}

pub(crate) async fn text_outside_of_the_first_plane_survives(fixture: Fixture) {
    let store = &fixture.store;
    let (actor, object) = ("j\u{f6}rg \u{1f600}@x", "\u{1f511} \u{10ffff} \u{e000}\\'\"?1");
    let detail = serde_json::json!({ "text": "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} ?2 %" });
    store.audit(actor, "thing.do", object, detail.clone()).await.expect("records");
    let row = &store.audit_log(None, 1).await.expect("reads")[0];
    assert_eq!((row.actor.as_str(), row.object.as_str(), &row.detail), (actor, object, &detail.to_string()));
    let filter = mb_store::AuditFilter { actor: Some(actor.into()), ..Default::default() };
    assert_eq!(store.audit_page(&filter, None, 9).await.expect("reads").entries.len(), 1);
    let folded = mb_store::AuditFilter { actor: Some("jorg \u{1f600}@x".into()), ..Default::default() };
    assert_eq!(store.audit_page(&folded, None, 9).await.expect("reads").entries.len(), 0);
    let foreign = mb_store::CertificateFilter { fingerprint: Some("\u{1f511}".into()), ..Default::default() };
    assert_eq!(store.certificates(&foreign).await.expect("reads"), []);
    assert_eq!(store.client_page(&mb_store::ClientFilter::default(), Some("\u{1f511}"), 9).await.expect("reads"), []);
    assert_eq!(store.domain_page(Some("\u{1f511}"), 9).await.expect("reads"), []);
}

pub(crate) async fn no_column_takes_different_texts_for_equal(fixture: Fixture) {
    let folding = "SELECT CAST(COUNT(*) AS SIGNED) FROM information_schema.columns WHERE table_schema = DATABASE() \
                   AND table_name <> '_sqlx_migrations' AND collation_name IS NOT NULL";
    let mut beside = fixture.beside().await;
    assert!(beside.number(folding).await > 30, "all columns of text");
    let folding = format!(
        "{folding} AND collation_name NOT IN ('ascii_bin', 'utf8mb4_nopad_bin', 'utf8mb4_0900_bin', 'utf8mb4_bin')"
    );
    assert_eq!(beside.number(&folding).await, 0);
}

pub(crate) async fn an_account_with_a_difficult_password_gets_in(fixture: Fixture) {
    let Database { name, port, .. } = fixture.database();
    let account = format!("'{name}'@'127.0.0.1'");
    let sql =
        format!("CREATE USER {account} IDENTIFIED BY 'P@ss/w:rd%?#1'; GRANT ALL PRIVILEGES ON {name}.* TO {account}");
    administer(*port, &sql).await;
    let address = |password: &str| format!("mysql+pymysql://{name}:{password}@127.0.0.1:{port}/{name}");
    let store = Store::open(&address("P%40ss%2Fw%3Ard%25%3F%231"), fixture.clock.clone()).await.expect("opens");
    assert_eq!(store.migrate().await.expect("its grants suffice"), []);
    assert_eq!(store.epoch().await.expect("reads"), fixture.store.epoch().await.expect("reads"));
    let error = Store::open(&address("wrong"), fixture.clock.clone()).await.expect_err("is refused");
    // Nothing that waits is at fault, so nothing that waits may be given up for it.
    assert!(matches!(error, StoreError::Unavailable(_)) && error.is_passing(), "{error}");
    administer(*port, &format!("DROP USER {account}")).await;
}

pub(crate) async fn a_database_that_is_not_there_is_waited_for(fixture: Fixture) {
    let address = format!("mysql://root@127.0.0.1:{}/nothing_here", fixture.database().port);
    let error = Store::open(&address, fixture.clock.clone()).await.expect_err("is not there");
    assert!(error.is_passing(), "{error}");
    let nowhere = crate::server::process::spare_port();
    let address = format!("mysql://root@127.0.0.1:{nowhere}/d");
    let error = Store::open(&address, fixture.clock.clone()).await.expect_err("nobody answers");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

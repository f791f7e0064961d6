//! Domains and clients: their rules reach the policy, their lists come in pages, their figures are right.

use std::time::Duration;

use mb_core::{ClientStatus, DomainName, DomainRules, MessageState, Role, SenderRule};
use mb_store::{CertificateRow, Client, ClientCounts, ClientFilter, RevokeTarget};

use crate::fixture::{Fixture, NOW, batch, client, domain, message};

pub(crate) async fn a_domains_rules_reach_the_policy(fixture: Fixture) {
    let store = &fixture.store;
    for name in ["eu", "us", "za"] {
        store.ensure_domain(&domain(name), "ca").await.expect("creates");
    }
    let created = store.domain(&domain("eu")).await.expect("reads").expect("is there");
    assert_eq!(created.rules, DomainRules::default());
    let before = store.policy_parts().await.expect("reads");
    assert!(before.domains.is_empty());
    let rules = DomainRules {
        sender_number: SenderRule::Optional,
        body_limit: 65_536,
        rate_limit: Some(0),
        retention_days: Some(30),
        body_retention_days: Some(7),
    };
    for _ in 0..2 {
        let set = store.set_domain_rules(&domain("eu"), &rules, "root").await.expect("sets").expect("is there");
        assert_eq!(set.rules, rules);
    }
    let after = store.policy_parts().await.expect("reads");
    assert_eq!(after.version, before.version + 1, "setting what is set changes nothing");
    assert_eq!(after.domains.into_iter().collect::<Vec<_>>(), [(domain("eu"), rules)]);
    assert_eq!(store.set_domain_rules(&domain("no"), &rules, "root").await.expect("asks"), None);
    let names = async |after: Option<&str>| {
        let page = store.domain_page(after, 2).await.expect("reads");
        page.into_iter().map(|domain| domain.name).collect::<Vec<DomainName>>()
    };
    assert_eq!(names(None).await, [domain("eu"), domain("us")]);
    assert_eq!(names(Some("us")).await, [domain("za")]);
}

pub(crate) async fn a_clients_rate_limit_reaches_the_policy(fixture: Fixture) {
    let store = &fixture.store;
    store.ensure_client(&client("a"), &domain("eu"), "ca").await.expect("creates");
    let before = store.policy_version().await.expect("reads");
    for _ in 0..2 {
        let set = store.set_client_rate_limit(&client("a"), Some(7), "root").await.expect("sets").expect("is there");
        assert_eq!(set.rate_limit, Some(7));
    }
    let parts = store.policy_parts().await.expect("reads");
    assert_eq!(parts.version, before + 1);
    assert_eq!(parts.client_rate_limits.into_iter().collect::<Vec<_>>(), [(client("a"), 7)]);
    store.set_client_rate_limit(&client("a"), None, "root").await.expect("sets");
    assert!(store.policy_parts().await.expect("reads").client_rate_limits.is_empty());
    assert_eq!(store.set_client_rate_limit(&client("no"), None, "root").await.expect("asks"), None);
}

pub(crate) async fn clients_come_in_pages_without_the_archived(fixture: Fixture) {
    let store = &fixture.store;
    for (name, of) in [("c", "eu"), ("a", "us"), ("d", "eu"), ("b", "eu")] {
        store.ensure_client(&client(name), &domain(of), "ca").await.expect("creates");
    }
    store.set_client_status(&client("c"), ClientStatus::Archived, "root").await.expect("sets");
    store.set_client_status(&client("d"), ClientStatus::Suspended, "root").await.expect("sets");
    let page = async |filter: ClientFilter, after: Option<&str>, limit| {
        let rows = store.client_page(&filter, after, limit).await.expect("reads");
        rows.into_iter().map(|row: Client| row.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(ClientFilter::default(), None, 2).await, ["a", "b"]);
    assert_eq!(page(ClientFilter::default(), Some("b"), 2).await, ["d"]);
    let archived = ClientFilter { status: Some(ClientStatus::Archived), ..ClientFilter::default() };
    assert_eq!(page(archived, None, 9).await, ["c"]);
    let of_domain = ClientFilter { domain: Some(domain("eu")), ..ClientFilter::default() };
    assert_eq!(page(of_domain.clone(), None, 9).await, ["b", "d"]);
    let both = ClientFilter { status: Some(ClientStatus::Active), ..of_domain };
    assert_eq!(page(both, None, 9).await, ["b"]);
}

pub(crate) async fn figures_count_messages_by_age_and_clients_by_what_they_may(fixture: Fixture) {
    let store = &fixture.store;
    for (n, hours) in (1..).zip([0, 1, 23, 24, 24 * 6, 24 * 8, 24 * 40]) {
        let mut row = message(n);
        row.registered_at = NOW.minus(Duration::from_hours(hours));
        if n == 1 {
            row.status = MessageState::Processing;
        }
        store.register(batch(vec![row])).await.expect("registers");
    }
    let stats = store.message_stats(None).await.expect("reads");
    assert_eq!((stats.total, stats.last_24h, stats.last_7d, stats.last_30d), (7, 3, 5, 6));
    assert!(stats.by_status.contains(&(MessageState::Processing, 1)), "{stats:?}");
    assert!(stats.by_status.contains(&(MessageState::Delivered, 6)), "{stats:?}");
    assert_eq!(store.message_stats(Some(&domain("eu"))).await.expect("reads").total, 0);
    for (serial, name) in (1..).zip(["active", "revoked", "renewed", "renewed", "suspended"]) {
        store.ensure_client(&client(name), &domain("eu"), "ca").await.expect("creates");
        let row = CertificateRow {
            issuer: [3; 16],
            serial: vec![serial],
            fingerprint: format!("{serial:064x}"),
            name: name.into(),
            role: Role::Client,
            domain: Some(domain("eu")),
            not_before: NOW,
            not_after: NOW.plus(Duration::from_hours(24)),
            certificate_pem: String::new(),
            revocation: None,
        };
        store.insert_certificate(&row, "ca").await.expect("inserts");
    }
    for serial in [2, 3] {
        store.revoke(&RevokeTarget::Serial(vec![serial]), "lost", "ca").await.expect("revokes");
    }
    store.set_client_status(&client("suspended"), ClientStatus::Suspended, "root").await.expect("sets");
    let expected = ClientCounts { total: 4, active: 2, suspended: 1, archived: 0, revoked: 1 };
    assert_eq!(store.client_counts(None).await.expect("reads"), expected);
    assert_eq!(store.client_counts(Some(&domain("us"))).await.expect("reads"), ClientCounts::default());
}

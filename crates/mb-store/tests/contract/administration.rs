//! Clients, certificates, users: changes that announce and record themselves.

use std::time::Duration;

use mb_core::Role;
use mb_store::{
    CertificateFilter, CertificatePageFilter, CertificateRow, CertificateStatus, ClientStatus, EndingCertificates,
    Ground, NewUser, RevokeTarget, StoreError, UserRole,
};

use crate::fixture::{Fixture, NOW, client, domain};
use crate::issuing::{certificate, order};

async fn with_certificates(fixture: &Fixture, rows: &[CertificateRow]) {
    for row in rows {
        order(&fixture.store, row).await;
    }
}

fn clients(name: &str) -> RevokeTarget {
    RevokeTarget::Name(name.into(), vec![Role::Client])
}

pub(crate) async fn a_client_stays_in_its_domain(fixture: Fixture) {
    let store = &fixture.store;
    let first = store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("creates");
    assert_eq!((first.status, first.created_at), (ClientStatus::Active, NOW));
    assert_eq!(store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("is there"), first);
    let error = store.ensure_client(&client("bar"), &domain("us"), "ca").await.expect_err("is elsewhere");
    assert!(matches!(&error, StoreError::ClientElsewhere { domain: at, .. } if *at == domain("eu")), "{error}");
    assert!(!error.is_passing());
    let domains = store.domains().await.expect("reads").into_iter().map(|domain| domain.name).collect::<Vec<_>>();
    assert_eq!(domains, [domain("eu")]);
    assert!(store.ensure_domain(&domain("us"), "ca").await.expect("creates"));
    assert!(!store.ensure_domain(&domain("us"), "ca").await.expect("is there"));
    assert_eq!(store.clients(Some(&domain("us"))).await.expect("reads"), []);
    assert_eq!(store.clients(None).await.expect("reads"), std::slice::from_ref(&first));
    assert_eq!(store.client(&client("bar")).await.expect("reads"), Some(first));
}

pub(crate) async fn suspending_a_client_changes_the_policy_once(fixture: Fixture) {
    let store = &fixture.store;
    store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("creates");
    let before = store.policy_parts().await.expect("reads");
    assert!(before.suspended.is_empty());
    for _ in 0..2 {
        let changed = store.set_client_status(&client("bar"), ClientStatus::Suspended, "root").await.expect("sets");
        assert_eq!(changed.map(|client| client.status), Some(ClientStatus::Suspended));
    }
    let after = store.policy_parts().await.expect("reads");
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.suspended.into_iter().collect::<Vec<_>>(), [client("bar")]);
    store.set_client_status(&client("bar"), ClientStatus::Active, "root").await.expect("sets");
    let resumed = store.policy_parts().await.expect("reads");
    assert_eq!((resumed.version, resumed.suspended.len()), (before.version + 2, 0));
    assert_eq!(store.policy_version().await.expect("reads"), resumed.version);
    let nobody = store.set_client_status(&client("nobody"), ClientStatus::Archived, "root").await.expect("asks");
    assert_eq!(nobody, None);
}

pub(crate) async fn names_differ_by_case_and_trailing_blanks(fixture: Fixture) {
    with_certificates(&fixture, &[certificate("bar", 1), certificate("BAR", 2), certificate("bar ", 3)]).await;
    let revoked = fixture.store.revoke(&clients("BAR"), "lost", "ca").await.expect("revokes");
    assert_eq!(revoked.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["BAR"]);
    let valid = CertificateFilter { status: Some(CertificateStatus::Valid), ..CertificateFilter::default() };
    assert_eq!(fixture.store.certificates(&valid).await.expect("reads").len(), 2);
    let revoked = fixture.store.revoke(&clients("bar"), "lost", "ca").await.expect("revokes");
    assert_eq!(revoked.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["bar"]);
    let left = fixture.store.certificates(&valid).await.expect("reads");
    assert_eq!(left.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["bar "]);
}

pub(crate) async fn revoking_by_name_leaves_no_certificate_valid(fixture: Fixture) {
    let store = &fixture.store;
    with_certificates(&fixture, &[certificate("a", 1), certificate("a", 2), certificate("b", 3)]).await;
    let before = store.policy_version().await.expect("reads");
    let target = clients("a");
    let revoked = store.revoke(&target, "key lost \u{1f511}", "ca").await.expect("revokes");
    assert_eq!(revoked.len(), 2);
    let parts = store.policy_parts().await.expect("reads");
    assert_eq!((parts.version, parts.revoked.len()), (before + 1, 2));
    let row = store.certificate(&[3; 16], &[1, 2]).await.expect("reads").expect("is there");
    let revocation = row.revocation.clone().expect("is revoked");
    assert_eq!((revocation.at, revocation.reason.as_str()), (NOW, "key lost \u{1f511}"));
    assert_eq!(row.status(NOW), CertificateStatus::Revoked);
    assert!(store.revoke(&target, "again", "ca").await.expect("asks").is_empty());
    assert_eq!(store.policy_version().await.expect("reads"), parts.version);
}

pub(crate) async fn revoking_by_serial_leaves_the_others_alone(fixture: Fixture) {
    with_certificates(&fixture, &[certificate("a", 1), certificate("a", 2)]).await;
    let revoked = fixture.store.revoke(&RevokeTarget::Serial(vec![1, 2]), "old", "ca").await.expect("revokes");
    assert_eq!(revoked.iter().map(|row| row.serial.clone()).collect::<Vec<_>>(), [vec![1, 2]]);
    let other = fixture.store.certificate(&[3; 16], &[1, 1]).await.expect("reads").expect("is there");
    assert_eq!(other, certificate("a", 1));
}

pub(crate) async fn certificates_are_found_by_each_filter(fixture: Fixture) {
    let store = &fixture.store;
    let mut proxy = certificate("proxy", 2);
    (proxy.role, proxy.domain) = (Role::Proxy, None);
    let mut old = certificate("old", 3);
    old.not_after = NOW.minus(Duration::from_micros(1));
    with_certificates(&fixture, &[certificate("a", 1), proxy.clone(), old.clone()]).await;
    let error = store.record_certificate(&certificate("z", 1), Ground::Order, "ca").await.expect_err("is there");
    assert!(matches!(error, StoreError::Exists("certificate")), "{error}");
    let filters = [
        (CertificateFilter { name: Some("a".into()), ..CertificateFilter::default() }, "a"),
        (CertificateFilter { serial: Some(vec![1, 2]), ..CertificateFilter::default() }, "proxy"),
        (CertificateFilter { fingerprint: Some(old.fingerprint.clone()), ..CertificateFilter::default() }, "old"),
        (CertificateFilter { role: Some(Role::Proxy), ..CertificateFilter::default() }, "proxy"),
        (CertificateFilter { status: Some(CertificateStatus::Expired), ..CertificateFilter::default() }, "old"),
    ];
    for (filter, expected) in filters {
        let found = store.certificates(&filter).await.expect("reads");
        assert_eq!(found.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), [expected], "{filter:?}");
    }
    let of_domain = CertificateFilter { domain: Some(domain("eu")), ..CertificateFilter::default() };
    assert_eq!(store.certificates(&of_domain).await.expect("reads"), [certificate("a", 1), old]);
}

pub(crate) async fn certificates_come_in_pages(fixture: Fixture) {
    let rows = (1..=5).map(|serial| certificate("a", serial)).collect::<Vec<_>>();
    with_certificates(&fixture, &rows).await;
    let (mut after, mut found, mut sizes) = (None, Vec::new(), Vec::new());
    for _ in 0..4 {
        let page = fixture.store.certificate_page(&CertificatePageFilter::default(), after, 2).await.expect("reads");
        after = page.last().map(|(place, _)| *place).or(after);
        sizes.push(page.len());
        found.extend(page.into_iter().map(|(_, row)| row));
    }
    assert_eq!(sizes, [2, 2, 1, 0]);
    assert_eq!(found, rows);
}

pub(crate) async fn a_page_of_certificates_is_of_what_was_asked_for(fixture: Fixture) {
    let (mut worker, mut ended) = (certificate("w", 3), certificate("b", 4));
    (worker.role, worker.domain) = (Role::Worker, None);
    ended.not_after = NOW.minus(Duration::from_secs(1));
    let rows = [certificate("a", 1), certificate("b", 2), worker, ended];
    with_certificates(&fixture, &rows).await;
    fixture.store.revoke(&RevokeTarget::Serial(vec![1, 1]), "", "ca").await.expect("revokes");
    let found = async |filter| {
        let page = fixture.store.certificate_page(&filter, None, 10).await.expect("reads");
        page.into_iter().map(|(_, row)| row.serial[1]).collect::<Vec<_>>()
    };
    let any = CertificatePageFilter::default;
    assert_eq!(found(CertificatePageFilter { name: Some("b".into()), ..any() }).await, [2, 4]);
    assert_eq!(found(CertificatePageFilter { role: Some(Role::Worker), ..any() }).await, [3]);
    let standing = async |status| found(CertificatePageFilter { status: Some(status), ..any() }).await;
    assert_eq!(standing(CertificateStatus::Revoked).await, [1]);
    assert_eq!(standing(CertificateStatus::Valid).await, [2, 3]);
    assert_eq!(standing(CertificateStatus::Expired).await, [4]);
}

pub(crate) async fn certificates_that_end_are_those_that_nobody_has_renewed(fixture: Fixture) {
    let store = &fixture.store;
    let day = Duration::from_hours(24);
    let ends = |name: &str, serial, after: Duration| CertificateRow {
        not_before: NOW.minus(day),
        not_after: NOW.plus(after),
        ..certificate(name, serial)
    };
    let mut worker = ends("a", 4, 3 * day);
    (worker.role, worker.domain) = (Role::Worker, None);
    let brief = CertificateRow { not_before: NOW, ..ends("brief", 7, Duration::from_hours(13)) };
    let long = CertificateRow { serial: vec![9; 16], fingerprint: "f".into(), ..ends("c", 9, 2 * day) };
    let rows = [
        ends("a", 1, 2 * day),
        ends("a", 2, 40 * day),
        ends("b", 3, 2 * day),
        worker,
        ends("gone", 5, day),
        ends("revoked", 6, day),
        brief,
        ends("later", 8, 30 * day + Duration::from_micros(1)),
        long,
        ends("over", 10, Duration::ZERO),
    ];
    with_certificates(&fixture, &rows).await;
    store.revoke(&RevokeTarget::Serial(vec![1, 6]), "", "ca").await.expect("revokes");
    store.ensure_client(&client("gone"), &domain("eu"), "ca").await.expect("is there");
    store.set_client_status(&client("gone"), ClientStatus::Archived, "ca").await.expect("archives");
    let range = EndingCertificates { after: NOW, until: NOW.plus(30 * day) };
    let mut found: Vec<CertificateRow> = Vec::new();
    for size in [2, 1, 0] {
        let behind = found.last().map(|row| (row.not_after, row.serial.as_slice()));
        let page = store.ending_certificates(range, behind, 2).await.expect("reads");
        assert_eq!(page.len(), size);
        found.extend(page);
    }
    let names = found.iter().map(|row| (row.name.as_str(), row.role)).collect::<Vec<_>>();
    assert_eq!(names, [("b", Role::Client), ("c", Role::Client), ("a", Role::Worker)]);
}

pub(crate) async fn expired_certificates_leave_the_revoked_set(fixture: Fixture) {
    let mut proxy = certificate("a", 2);
    (proxy.role, proxy.domain) = (Role::Proxy, None);
    with_certificates(&fixture, &[certificate("a", 1), proxy]).await;
    fixture
        .store
        .revoke(&RevokeTarget::Name("a".into(), vec![Role::Client, Role::Proxy]), "", "ca")
        .await
        .expect("revokes");
    let parts = fixture.store.policy_parts().await.expect("reads");
    assert_eq!((parts.revoked.len(), parts.revoked_proxies.len()), (2, 1));
    fixture.clock.set(NOW.plus(Duration::from_hours(25)));
    let later = fixture.store.policy_parts().await.expect("reads");
    assert!(later.revoked.is_empty());
    assert_eq!(later.revoked_proxies, parts.revoked_proxies, "what a proxy signed stays in doubt");
}

pub(crate) async fn one_address_is_one_user_in_any_case(fixture: Fixture) {
    let store = &fixture.store;
    let new = |email: &str, role, of: Option<&str>| NewUser {
        email: email.into(),
        password_hash: "$argon2id$".into(),
        role,
        client: of.map(client),
        may_send: false,
        expires_at: None,
    };
    let admin = store.insert_user(&new("Root@Example.org", UserRole::Admin, None), "setup").await.expect("inserts");
    assert_eq!((admin.email.as_str(), admin.active), ("root@example.org", true));
    let taken = store.insert_user(&new("ROOT@example.ORG", UserRole::User, None), "setup").await;
    assert!(matches!(taken, Err(StoreError::Exists("user"))), "{taken:?}");
    let orphan = store.insert_user(&new("a@b", UserRole::User, Some("nobody")), "setup").await;
    assert!(matches!(orphan, Err(StoreError::Missing("client"))), "{orphan:?}");
    store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("creates");
    let user = store.insert_user(&new("a@b", UserRole::User, Some("bar")), "setup").await.expect("inserts");
    assert_eq!(user.client, Some(client("bar")));
    assert_eq!(store.user_by_email("ROOT@EXAMPLE.ORG").await.expect("reads"), Some(admin.clone()));
    assert_eq!(store.user_by_email("nobody").await.expect("reads"), None);
    assert_eq!(store.users().await.expect("reads"), [user, admin]);
    assert_eq!(store.count_admins().await.expect("reads"), 1);
}

pub(crate) async fn every_change_is_in_the_audit_log(fixture: Fixture) {
    let store = &fixture.store;
    store.ensure_client(&client("bar"), &domain("eu"), "ca").await.expect("creates");
    with_certificates(&fixture, &[certificate("bar", 1)]).await;
    store.revoke(&clients("bar"), "lost", "root").await.expect("revokes");
    store.set_client_status(&client("bar"), ClientStatus::Suspended, "root").await.expect("sets");
    store.new_epoch("root").await.expect("changes");
    let log = store.audit_log(None, 100).await.expect("reads");
    let lines = log.iter().map(|entry| format!("{} {} {}", entry.actor, entry.action, entry.object));
    let expected = [
        "root store.new_epoch store",
        "root client.set_status bar",
        "root certificate.revoke bar",
        "ca certificate.issue bar",
        "ca client.create bar",
        "ca domain.create eu",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    assert_eq!(log[1].detail, r#"{"from":"active","to":"suspended"}"#);
    assert_eq!(log[0].at, NOW);
    assert_eq!(store.audit_log(Some(log[3].id), 1).await.expect("reads"), log[4..5]);
}

pub(crate) async fn a_setting_is_minted_once(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(store.setting("search_key").await.expect("reads"), None);
    assert_eq!(store.setting_or_insert("search_key", b"one", "setup").await.expect("inserts"), b"one");
    assert_eq!(store.setting_or_insert("search_key", b"two", "setup").await.expect("reads"), b"one");
    assert_eq!(store.setting("search_key").await.expect("reads").as_deref(), Some(b"one".as_ref()));
}

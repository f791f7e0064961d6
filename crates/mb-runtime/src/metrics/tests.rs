//! The text that scrapers read, who may read it, and the rule of names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use mb_core::policy::{MasterPublicKey, RateLimits};
use mb_core::{Identity, KeyId, Policy, Timestamp};
use tokio::sync::watch;
use tower::ServiceExt;

use super::*;

#[test]
fn the_text_is_classic_prometheus_and_families_merge() {
    let (mut proxy, mut worker) = (Metrics::new(), Metrics::new());
    proxy.counter("mb_proxy_accepted", "Messages accepted.").inc_by(3);
    proxy.gauge_of("mb_journal_depth", "Entries kept.", || 7.0);
    for (metrics, role) in [(&mut proxy, "proxy"), (&mut worker, "worker")] {
        let family = metrics.gauge_family("mb_certificate_expiry_timestamp_seconds", "End of validity.", "role");
        family.of(role).set(1.5);
    }
    worker.counter_family("mb_worker_delivery_attempts", "Attempts.", "outcome").inc("delivered");
    let expected = "\
# HELP mb_certificate_expiry_timestamp_seconds End of validity.
# TYPE mb_certificate_expiry_timestamp_seconds gauge
mb_certificate_expiry_timestamp_seconds{role=\"proxy\"} 1.5
mb_certificate_expiry_timestamp_seconds{role=\"worker\"} 1.5
# HELP mb_journal_depth Entries kept.
# TYPE mb_journal_depth gauge
mb_journal_depth 7.0
# HELP mb_proxy_accepted_total Messages accepted.
# TYPE mb_proxy_accepted_total counter
mb_proxy_accepted_total 3
# HELP mb_worker_delivery_attempts_total Attempts.
# TYPE mb_worker_delivery_attempts_total counter
mb_worker_delivery_attempts_total{outcome=\"delivered\"} 1
";
    assert_eq!(Metrics::encode(&[proxy, worker]), expected);
}

#[test]
fn distributions_show_buckets_sum_and_count() {
    let mut metrics = Metrics::new();
    metrics.seconds("mb_journal_fsync_seconds", "Time of one fsync.").observe(0.0003);
    let text = Metrics::encode(&[metrics]);
    for line in [
        "# TYPE mb_journal_fsync_seconds histogram",
        "mb_journal_fsync_seconds_bucket{le=\"0.0002\"} 0",
        "mb_journal_fsync_seconds_bucket{le=\"0.0005\"} 1",
        "mb_journal_fsync_seconds_bucket{le=\"+Inf\"} 1",
        "mb_journal_fsync_seconds_count 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn a_distribution_that_someone_else_counts_is_shown_cumulative() {
    let mut metrics = Metrics::new();
    let read = || Distribution { sum: 5.5, bounds: vec![0.5, 1.0], counts: vec![1, 2, 3] };
    metrics.histogram_of("mb_journal_fsync_seconds", "Time of one fsync.", read);
    let text = Metrics::encode(&[metrics]);
    for line in [
        "mb_journal_fsync_seconds_bucket{le=\"0.5\"} 1",
        "mb_journal_fsync_seconds_bucket{le=\"1.0\"} 3",
        "mb_journal_fsync_seconds_bucket{le=\"+Inf\"} 6",
        "mb_journal_fsync_seconds_sum 5.5",
        "mb_journal_fsync_seconds_count 6",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn a_metric_is_described_before_it_is_counted() {
    let mut metrics = Metrics::new();
    metrics.counter_family("mb_proxy_rejected", "Refusals.", "code");
    metrics.counter_of("mb_log_errors", "Errors.", || 2.0);
    let known: Vec<_> =
        metrics.descriptions().into_iter().map(|known| (known.name, known.kind, known.labels)).collect();
    let expected = [
        ("mb_proxy_rejected_total".to_owned(), Kind::Counter, vec!["code"]),
        ("mb_log_errors_total".to_owned(), Kind::Counter, vec![]),
    ];
    assert_eq!(known, expected);
    assert!(Metrics::encode(&[metrics]).lines().any(|line| line == "mb_log_errors_total 2.0"));
}

#[test]
fn a_process_tells_its_version_and_when_it_started() {
    let clock = Clock::manual(Timestamp::from_micros(1_795_000_000_500_000));
    let text = Metrics::encode(&[Metrics::of_process("1.2.3", &clock)]);
    for line in ["mb_build_info{version=\"1.2.3\"} 1.0", "process_start_time_seconds 1795000000.5"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

fn policy() -> PolicyWatch {
    let policy = Policy {
        version: 1,
        ca_pem: String::new(),
        issuers: BTreeSet::new(),
        master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![] },
        revoked: BTreeSet::new(),
        suspended: BTreeSet::new(),
        domains: BTreeMap::new(),
        limits: RateLimits::default(),
        expunged: BTreeMap::new(),
    };
    watch::channel(Arc::new(policy)).1.into()
}

async fn status(peer: Peer, loopback: Loopback) -> StatusCode {
    let clock = Clock::manual(Timestamp::from_micros(50));
    let router = router(vec![Metrics::new()], Access::Restricted { loopback, policy: policy(), clock });
    let request = Request::get("/metrics").extension(peer).body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body");
    assert!(body.to_bytes().is_empty(), "there is no metric");
    status
}

#[tokio::test]
async fn metrics_are_for_monitoring_admin_and_this_machine() {
    let peer = |addr: &str, role: Option<Role>| Peer {
        addr: addr.parse().ok(),
        identity: role.map(|role| {
            Arc::new(Identity {
                name: "x".into(),
                role,
                domain: None,
                issuer: [0; 16],
                serial: vec![1],
                fingerprint: String::new(),
                not_before: Timestamp::from_micros(0),
                not_after: Timestamp::from_micros(100),
            })
        }),
    };
    let (local, far) = ("127.0.0.1:5", "192.0.2.1:5");
    assert_eq!(status(peer(local, None), Loopback::Allowed).await, StatusCode::OK);
    assert_eq!(status(peer(local, None), Loopback::Refused).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(peer(far, None), Loopback::Allowed).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(peer(far, Some(Role::Monitoring)), Loopback::Refused).await, StatusCode::OK);
    assert_eq!(status(peer(far, Some(Role::Admin)), Loopback::Refused).await, StatusCode::OK);
    assert_eq!(status(peer(far, Some(Role::Client)), Loopback::Refused).await, StatusCode::FORBIDDEN);
}

#[test]
fn a_series_that_is_known_beforehand_is_there_from_the_start() {
    let mut metrics = Metrics::new();
    let refused = metrics.counter_family("mb_test_refused", "Refused.", "code").starting_with(["a", "b"]);
    refused.inc("b");
    let text = Metrics::encode(&[metrics]);
    assert!(text.contains("mb_test_refused_total{code=\"a\"} 0"), "{text}");
    assert!(text.contains("mb_test_refused_total{code=\"b\"} 1"), "{text}");
}

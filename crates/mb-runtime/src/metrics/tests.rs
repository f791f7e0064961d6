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
fn names_follow_the_rule() {
    for good in ["mb_journal_depth", "mb_proxy_accepted", "mb_certificate_expiry_timestamp_seconds"] {
        assert_eq!(fault(Kind::Gauge, good), None, "{good}");
    }
    for bad in ["journal_depth", "mb_depth", "mb_Journal_depth", "mb__depth", "mb_proxy_accepted_total", "mb_x_time_ms"]
    {
        assert!(fault(Kind::Counter, bad).is_some(), "{bad}");
    }
    assert!(fault(Kind::Histogram, "mb_journal_fsync").is_some());
}

fn policy() -> PolicyWatch {
    let policy = Policy {
        version: 1,
        ca_pem: String::new(),
        master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![] },
        revoked: BTreeSet::new(),
        suspended: BTreeSet::new(),
        domains: BTreeMap::new(),
        limits: RateLimits::default(),
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

//! What the proxy decides by while the main server is away, late, wrong or broken off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mb_api::client::{Client, Transport};
use mb_api::{Peer, paths};
use mb_core::KeyId;
use mb_core::policy::{MasterPublicKey, RateLimits};
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const MAX_AGE: Duration = Duration::from_hours(1);

fn policy(version: u64) -> Policy {
    let master_key = MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![0; 32] };
    let (revoked, suspended, domains) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let (limits, expunged) = (RateLimits::default(), BTreeMap::new());
    let (ca_pem, issuers) = (String::new(), BTreeSet::new());
    Policy { version, ca_pem, issuers, master_key, revoked, suspended, domains, limits, expunged }
}

fn open(dir: &TempDir, now: Timestamp) -> PolicyKeeper {
    PolicyKeeper::open(dir.path(), MAX_AGE, now)
}

fn code(keeper: &PolicyKeeper) -> Option<ProblemCode> {
    keeper.usable().err().map(|error| error.code())
}

async fn keep(dir: &TempDir, version: u64, now: Timestamp) {
    let keeper = open(dir, now);
    keeper.adopt(News::Policy(Box::new(policy(version))), now);
    assert!(keeper.keep().await);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_nothing_is_decided_and_an_old_one_is_stale() {
    let dir = TempDir::new().expect("temporary folder");
    let keeper = open(&dir, NOW);
    assert_eq!(code(&keeper), Some(ProblemCode::NoPolicy));
    // The news that nothing changed is worth nothing to who holds nothing.
    keeper.adopt(News::Unchanged, NOW);
    assert_eq!(code(&keeper), Some(ProblemCode::NoPolicy));
    keeper.adopt(News::Policy(Box::new(policy(1))), NOW);
    tokio::time::advance(MAX_AGE).await;
    assert_eq!(code(&keeper), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(code(&keeper), Some(ProblemCode::PolicyStale));
    keeper.adopt(News::Unchanged, NOW);
    assert_eq!(code(&keeper), None);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_the_main_server_refuses_decides_nothing_until_it_is_answered_again() {
    let dir = TempDir::new().expect("temporary folder");
    let keeper = open(&dir, NOW);
    keeper.adopt(News::Policy(Box::new(policy(1))), NOW);
    tokio::time::advance(Duration::from_secs(1)).await;
    keeper.adopt(News::Refused(ProblemCode::CertificateRevoked), NOW);
    assert_eq!(code(&keeper), Some(ProblemCode::ProxyUntrusted));
    assert_eq!(keeper.age().age(), Some(Duration::from_secs(1)), "a refusal says nothing of the policy");
    keeper.adopt(News::Unchanged, NOW);
    assert_eq!(code(&keeper), None);
}

#[tokio::test(start_paused = true)]
async fn a_kept_policy_is_in_effect_after_a_restart_as_old_as_it_is() {
    let dir = TempDir::new().expect("temporary folder");
    keep(&dir, 7, NOW).await;
    let keeper = open(&dir, NOW.plus(MAX_AGE));
    assert_eq!((keeper.held().since, keeper.age().age()), (Some(7), Some(MAX_AGE)));
    assert_eq!(code(&keeper), None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(code(&keeper), Some(ProblemCode::PolicyStale));
    // Written under a clock that was ahead, it is not fresh until then.
    let keeper = open(&dir, NOW.minus(MAX_AGE * 9));
    tokio::time::advance(MAX_AGE + Duration::from_secs(1)).await;
    assert_eq!(code(&keeper), Some(ProblemCode::PolicyStale));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_makes_a_policy_neither_older_nor_younger() {
    let dir = TempDir::new().expect("temporary folder");
    let (keeper, clock) = (open(&dir, NOW), Clock::manual(NOW));
    keeper.adopt(News::Policy(Box::new(policy(1))), clock.now());
    clock.set(NOW.plus(MAX_AGE * 25));
    assert_eq!((code(&keeper), keeper.age().age()), (None, Some(Duration::ZERO)));
    clock.set(NOW.minus(MAX_AGE * 25));
    tokio::time::advance(MAX_AGE + Duration::from_secs(1)).await;
    assert_eq!(code(&keeper), Some(ProblemCode::PolicyStale));
}

#[tokio::test]
async fn a_broken_file_leaves_the_generation_before() {
    let dir = TempDir::new().expect("temporary folder");
    keep(&dir, 1, NOW).await;
    keep(&dir, 2, NOW).await;
    assert_eq!(open(&dir, NOW).held().since, Some(2));
    let current = dir.path().join(CURRENT);
    let whole = std::fs::read(&current).expect("written");
    for cut in [0, 3, 11, whole.len() - 1] {
        std::fs::write(&current, &whole[..cut]).expect("written");
        assert_eq!(open(&dir, NOW).held().since, Some(1), "{cut} bytes left");
    }
    let mut flipped = whole.clone();
    flipped[20] ^= 1;
    std::fs::write(&current, &flipped).expect("written");
    assert_eq!(open(&dir, NOW).held().since, Some(1));
    // The next write must not push the good generation out with the broken one.
    keep(&dir, 3, NOW).await;
    std::fs::remove_file(&current).expect("removed");
    assert_eq!(open(&dir, NOW).held().since, Some(1));
    std::fs::remove_file(dir.path().join(OLDER)).expect("removed");
    assert_eq!(code(&open(&dir, NOW)), Some(ProblemCode::NoPolicy));
}

async fn at_once(State(asked): State<Arc<AtomicU64>>, Query(query): Query<PolicyQuery>) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    if query.since == Some(4) { StatusCode::NO_CONTENT.into_response() } else { Json(policy(4)).into_response() }
}

/// Answers with a newer policy, and takes what it is told only from the third time on; keeps which versions were said to be
/// held before it had.
#[derive(Debug, Default)]
struct Deaf {
    told: AtomicU64,
    held: std::sync::Mutex<Vec<Option<u64>>>,
}

async fn asked_for_policy(State(deaf): State<Arc<Deaf>>, Query(query): Query<PolicyQuery>) -> Response {
    if deaf.told.load(Ordering::Relaxed) < 3 {
        deaf.held.lock().expect("whole").push(query.since);
    }
    if query.since == Some(9) { StatusCode::NO_CONTENT.into_response() } else { Json(policy(9)).into_response() }
}

async fn told(State(deaf): State<Arc<Deaf>>) -> Response {
    if deaf.told.fetch_add(1, Ordering::Relaxed) < 2 {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(mb_api::dto::OpenForGood::default()).into_response()
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_said_to_be_held_only_once_what_it_lacks_is_told() {
    let dir = TempDir::new().expect("temporary folder");
    let deaf = Arc::new(Deaf::default());
    let router = Router::new()
        .route(paths::POLICY, get(asked_for_policy))
        .route(paths::REVOCATIONS, axum::routing::post(told))
        .with_state(Arc::clone(&deaf));
    let server = Client::new(Transport::in_process(router, Peer::default()));
    let (keeper, clock) = (open(&dir, NOW), Clock::manual(NOW));
    let mut held = policy(7);
    held.revoked.insert(mb_core::policy::CertificateRef { issuer: [1; 16], serial: vec![1] });
    keeper.adopt(News::Policy(Box::new(held)), NOW);
    let following = follow_forever(&keeper, PolicyFollower::new(server), &clock, JournalStatus::default);
    assert!(tokio::time::timeout(Duration::from_secs(30), following).await.is_err(), "it never ends");
    assert!(deaf.told.load(Ordering::Relaxed) >= 3);
    let said = deaf.held.lock().expect("whole").clone();
    assert!(said.len() >= 3 && said.iter().all(|since| *since != Some(9)), "{said:?}");
    assert_eq!(keeper.current().expect("one").revoked.len(), 1, "it stays in effect here");
}

#[tokio::test(start_paused = true)]
async fn answers_without_news_are_neither_asked_for_nor_written_all_the_time() {
    let dir = TempDir::new().expect("temporary folder");
    let asked = Arc::new(AtomicU64::new(0));
    let router = Router::new().route(paths::POLICY, get(at_once)).with_state(Arc::clone(&asked));
    let server = Client::new(Transport::in_process(router, Peer::default()));
    let (keeper, clock) = (open(&dir, NOW), Clock::manual(NOW));
    let following = follow_forever(&keeper, PolicyFollower::new(server), &clock, JournalStatus::default);
    assert!(tokio::time::timeout(Duration::from_secs(30), following).await.is_err(), "it never ends");
    assert_eq!(keeper.held().since, Some(4));
    let asked = asked.load(Ordering::Relaxed);
    assert!((25..=35).contains(&asked), "{asked} questions in 30 s");
    assert!(dir.path().join(CURRENT).exists(), "the news was written");
    assert!(!dir.path().join(OLDER).exists(), "written once");
}

/// Refuses the first two questions, as of a certificate that is replaced then.
async fn refuses_first(State(asked): State<Arc<AtomicU64>>) -> Response {
    if asked.fetch_add(1, Ordering::Relaxed) < 2 {
        return ApiError::new(ProblemCode::CertificateRevoked, "the client certificate was revoked")
            .render(&mb_api::request_id::RequestId::fresh());
    }
    Json(policy(4)).into_response()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_outage_and_ends_with_the_next_answer() {
    let router = Router::new().route(paths::POLICY, get(refuses_first)).with_state(Arc::default());
    let mut follower = PolicyFollower::new(Client::new(Transport::in_process(router, Peer::default())));
    for _ in 0..2 {
        let news = follower.next(PolicyQuery::default()).await;
        assert!(matches!(news, News::Refused(ProblemCode::CertificateRevoked)), "{news:?}");
    }
    assert!(matches!(follower.next(PolicyQuery::default()).await, News::Policy(_)));
}

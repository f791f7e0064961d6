//! Health: named checks, asked when someone asks, in the contract's words.
//!
//! A check says in a phrase what it found. `degraded` is for what can be missing for a while (the process still serves,
//! 200), `unhealthy` for what cannot (503, and not ready). A check that does not answer in time is unhealthy itself.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use mb_api::dto::{HealthReport, HealthStatus};
use mb_api::paths;
use mb_core::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::{Boxed, Lifecycle};

/// How long all checks together may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    status: HealthStatus,
    text: String,
}

impl Check {
    /// All is well.
    pub fn healthy(text: impl Into<String>) -> Self {
        Self { status: HealthStatus::Healthy, text: text.into() }
    }

    /// Something is missing without which the process can serve for a while.
    pub fn degraded(text: impl Into<String>) -> Self {
        Self { status: HealthStatus::Degraded, text: text.into() }
    }

    /// Whether all is well.
    pub const fn is_healthy(&self) -> bool {
        matches!(self.status, HealthStatus::Healthy)
    }

    /// The process cannot serve.
    pub fn unhealthy(text: impl Into<String>) -> Self {
        Self { status: HealthStatus::Unhealthy, text: text.into() }
    }
}

type Ask = Box<dyn Fn() -> Boxed<Check> + Send + Sync>;

/// The checks of one role.
pub struct Health {
    version: &'static str,
    clock: Clock,
    started: Instant,
    stopping: CancellationToken,
    checks: Vec<(&'static str, Ask)>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

impl Health {
    /// No checks yet. `version` is the program's.
    pub fn new(version: &'static str, clock: Clock, lifecycle: &Lifecycle) -> Self {
        Self { version, clock, started: Instant::now(), stopping: lifecycle.leaving(), checks: Vec::new() }
    }

    /// Adds a check. It must be cheap: it runs each time someone asks.
    #[must_use]
    pub fn check<F, A>(mut self, name: &'static str, ask: A) -> Self
    where
        A: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Check> + Send + 'static,
    {
        self.checks.push((name, Box::new(move || Box::pin(ask()))));
        self
    }

    /// Asks every check.
    pub async fn report(&self) -> HealthReport {
        let deadline = Instant::now() + PATIENCE;
        let mut status = HealthStatus::Healthy;
        let mut checks = BTreeMap::new();
        for (name, ask) in &self.checks {
            let found = tokio::time::timeout_at(deadline, ask()).await;
            let found = found.unwrap_or_else(|_| Check::unhealthy("did not answer in time"));
            status = status.max(found.status);
            checks.insert((*name).to_owned(), found.text);
        }
        self.with(status, checks)
    }

    fn with(&self, status: HealthStatus, checks: BTreeMap<String, String>) -> HealthReport {
        HealthReport {
            status,
            version: self.version.to_owned(),
            timestamp: self.clock.now(),
            uptime_seconds: self.started.elapsed().as_secs(),
            checks,
        }
    }

    async fn ready(&self) -> HealthReport {
        if self.stopping.is_cancelled() {
            let checks = BTreeMap::from([("lifecycle".to_owned(), "stopping".to_owned())]);
            return self.with(HealthStatus::Unhealthy, checks);
        }
        self.report().await
    }

    /// `/health`, `/health/live`, `/health/ready`, and the whole report at `aliases` too.
    pub fn router(self: &Arc<Self>, aliases: &[&str]) -> Router {
        let whole = || {
            let health = Arc::clone(self);
            get(move || async move { answer(health.report().await) })
        };
        let (live, ready) = (Arc::clone(self), Arc::clone(self));
        let router = Router::new()
            .route(paths::HEALTH, whole())
            .route(
                paths::HEALTH_LIVE,
                get(move || async move { answer(live.with(HealthStatus::Healthy, BTreeMap::new())) }),
            )
            .route(paths::HEALTH_READY, get(move || async move { answer(ready.ready().await) }));
        aliases.iter().fold(router, |router, path| router.route(path, whole()))
    }
}

fn answer(report: HealthReport) -> Response {
    let status = match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use mb_core::Timestamp;
    use tower::ServiceExt;

    use super::*;

    fn health(lifecycle: &Lifecycle) -> Health {
        Health::new("1.2.3", Clock::manual(Timestamp::from_micros(0)), lifecycle)
    }

    async fn ask(health: Health, path: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = Arc::new(health).router(&["/api/v1/health"]).oneshot(request).await.expect("infallible");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn the_report_has_the_contracts_shape() {
        let health = health(&Lifecycle::new())
            .check("journal", || async { Check::healthy("writable") })
            .check("main_server", || async { Check::degraded("away for 3 s") });
        let (status, json) = ask(health, "/api/v1/health").await;
        assert_eq!(status, StatusCode::OK);
        let expected = serde_json::json!({
            "status": "degraded", "version": "1.2.3", "timestamp": "1970-01-01T00:00:00.000000Z", "uptime_seconds": 0,
            "checks": {"journal": "writable", "main_server": "away for 3 s"},
        });
        assert_eq!(json, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_unhealthy_but_the_process_lives() {
        let hung = || health(&Lifecycle::new()).check("store", std::future::pending);
        let (status, json) = ask(hung(), "/health").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(json["checks"]["store"], "did not answer in time");
        assert_eq!(ask(hung(), "/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(hung(), "/health/live").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_stopping_process_is_alive_but_not_ready() {
        let lifecycle = Lifecycle::new();
        lifecycle.stop();
        assert_eq!(ask(health(&lifecycle), "/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(health(&lifecycle), "/health").await.0, StatusCode::OK);
    }
}

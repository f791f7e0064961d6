//! What is counted and logged about requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, Uri};
use mb_api::{Peer, RequestId, paths};
use mb_core::{Identity, Role};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::{Kind, LATENCY_SECONDS, Metrics};

/// Classes of status codes, in the order of their first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters per route and class, made at start: counting looks nothing up and takes no lock of a map.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    template: &'static str,
    vital: bool,
    classes: [Counter; 5],
    seconds: Histogram,
}

impl Routes {
    pub(super) fn register(role: Role, templates: &[&'static str], metrics: &Metrics) -> Self {
        let counts = Family::<[(&'static str, &'static str); 2], Counter>::default();
        let seconds =
            Family::<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>::new_with_constructor(|| {
                Histogram::new(LATENCY_SECONDS)
            });
        let route = |template: &'static str| Route {
            template,
            vital: template.starts_with(paths::HEALTH) || [paths::METRICS, paths::API_HEALTH].contains(&template),
            classes: CLASSES.map(|class| counts.get_or_create_owned(&[("route", template), ("class", class)])),
            seconds: seconds.get_or_create_owned(&[("route", template)]),
        };
        let routes = templates.iter().copied().chain(["other"]).map(route).collect();
        let name = |thing: &str| format!("mb_{role}_{thing}");
        metrics.add(
            Kind::Counter,
            &name("requests"),
            "HTTP requests by route and class of status.",
            &["route", "class"],
            counts,
        );
        metrics.add(
            Kind::Histogram,
            &name("request_seconds"),
            "Time to the answer's head, by route.",
            &["route"],
            seconds,
        );
        Self { routes }
    }

    /// The index of a path's route; the last one is for all that have none.
    pub(super) fn find(&self, path: &str) -> usize {
        let found = self.routes.iter().position(|route| paths::matches(route.template, path));
        found.unwrap_or(self.routes.len() - 1)
    }

    /// The routes' templates by their index, and whether each is one that a process always answers.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&'static str, bool)> {
        self.routes.iter().map(|route| (route.template, route.vital))
    }

    pub(super) fn count(&self, route: usize, status: StatusCode, took: Duration) {
        let route = &self.routes[route];
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        route.classes[class].inc();
        route.seconds.observe(took.as_secs_f64());
    }
}

/// What the access log says about a request; made only if someone listens, because it costs copies.
pub(super) struct AccessLine {
    method: Method,
    uri: Uri,
    addr: Option<SocketAddr>,
    identity: Option<Arc<Identity>>,
}

impl AccessLine {
    pub(super) fn of(request: &Request<Body>) -> Option<Self> {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return None;
        }
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Some(Self { method, uri, addr: peer.addr, identity: peer.identity })
    }

    pub(super) fn log(&self, id: &RequestId, status: StatusCode, took: Duration) {
        tracing::debug!(
            request.id = %id,
            method = %self.method,
            // Without the query: it may carry what a person searched for.
            path = self.uri.path(),
            status = status.as_u16(),
            client.id = self.identity.as_ref().map(|identity| identity.name.as_str()),
            peer.addr = self.addr.map(tracing::field::display),
            duration_ms = took.as_secs_f64() * 1000.0,
            "request"
        );
    }
}

//! A role's router inside what every request needs: an id, a bound, a rendered error, a count.
//!
//! One wrapper instead of a stack of layers, because it stands in the path of every message: beside the router's own work
//! a request costs it one allocation, two reads of the clock and a few atomics. It is what listeners serve and what
//! in-process clients call, so both see the same.

mod observe;
mod respond;
mod turns;

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::header::ACCEPT;
use http::response::Parts;
use http::{Extensions, HeaderMap, Method, Request};
use mb_api::problem::{ApiError, ProblemCode};
use mb_api::request_id::{self, RequestId};
use mb_core::Role;
use tower::Service;

use crate::lifecycle::Boxed;
use crate::logging::{self, Component};
use crate::metrics::Metrics;
use observe::{AccessLine, Routes};
pub use turns::Sharing;
use turns::Turns;

/// How a role's router is wrapped.
#[derive(Clone, Copy, Debug)]
pub struct AppConfig {
    /// Names the metrics.
    pub role: Role,
    /// The routes' templates, the busiest first: `mb_api::paths::PROXY` and its like. Others count as `other`.
    pub routes: &'static [&'static str],
    /// Requests in work at once; more are answered 503 `overloaded`.
    pub in_flight: usize,
    /// Whose they may be.
    pub sharing: Sharing,
}

impl AppConfig {
    /// A role's usual configuration.
    pub const fn new(role: Role, routes: &'static [&'static str]) -> Self {
        Self { role, routes, in_flight: 8192, sharing: Sharing { waiting: &[], kept: &[], open: &[] } }
    }
}

/// Shows an error to a person. It is given what the handler left in its response, and sets status and type itself.
pub type ErrorPage = fn(&ApiError, &RequestId, &Extensions) -> Response;

/// A wrapped router. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    router: Router,
    direct: Option<Direct>,
    error_page: Option<ErrorPage>,
    shared: Arc<Shared>,
}

/// A route that is looked up before the router.
#[derive(Clone)]
struct Direct {
    method: Method,
    path: &'static str,
    handler: Arc<dyn Fn(Request<Body>) -> Boxed<Response> + Send + Sync>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[derive(Debug)]
struct Shared {
    /// Whose log it writes, also when another component of this process calls.
    component: Option<Component>,
    routes: Routes,
    turns: Arc<Turns>,
}

impl App {
    /// Wraps `router`, whose unknown paths and methods become problems.
    pub fn new(config: AppConfig, router: Router, metrics: &mut Metrics) -> Self {
        let router = router.method_not_allowed_fallback(|| async {
            ApiError::new(ProblemCode::MethodNotAllowed, "this address knows other methods; see the header Allow")
        });
        let router = router.fallback(|| async { ApiError::not_found() });
        Self::with_own_fallback(config, router, metrics)
    }

    /// Wraps a router that answers unknown paths itself, with pages.
    pub fn with_own_fallback(config: AppConfig, router: Router, metrics: &mut Metrics) -> Self {
        let known = Routes::register(config.role, config.routes, metrics);
        let turns = Arc::new(Turns::new(&known, config.sharing, config.in_flight));
        let watched = Arc::downgrade(&turns);
        let shared = Arc::new(Shared { component: Component::of_role(config.role), routes: known, turns });
        let name = format!("mb_{}_requests_in_flight", config.role);
        metrics.gauge_of(&name, "HTTP requests in work.", move || {
            let in_flight = watched.upgrade().map_or(0, |turns| turns.in_work());
            f64::from(u32::try_from(in_flight).unwrap_or(u32::MAX))
        });
        Self { router, direct: None, error_page: None, shared }
    }

    /// Serves one route without the router, whose layers cost as much as a small handler's own work. Meant for the one
    /// route that nearly all requests take; the router has it too, for its other methods.
    #[must_use]
    pub fn direct<F>(
        self,
        method: Method,
        path: &'static str,
        handler: impl Fn(Request<Body>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let handler = Arc::new(move |request| Box::pin(handler(request)) as Boxed<Response>);
        Self { direct: Some(Direct { method, path, handler }), ..self }
    }

    /// Answers errors with a page to those who ask for one (`Accept: text/html`), which browsers do and programs do not.
    #[must_use]
    pub fn error_pages(self, page: ErrorPage) -> Self {
        Self { error_page: Some(page), ..self }
    }

    /// From now on so many requests may be in work at once; clones share the bound.
    pub fn set_in_flight(&self, most: usize) {
        self.shared.turns.set_bound(most);
    }
}

impl App {
    /// Answers a request that nobody works on, and counts it.
    pub(crate) fn refuse(&self, request: &Request<Body>, error: ApiError) -> Response {
        let started = Instant::now();
        let id = request.headers().get(request_id::HEADER).and_then(RequestId::from_header);
        let route = self.shared.routes.find(request.uri().path());
        let page = self.error_page.filter(|_| asks_for_a_page(request.headers()));
        let id = id.unwrap_or_else(RequestId::fresh);
        let response = respond::finish(Ok(respond::unrendered(error)), &id, page);
        self.shared.routes.count(route, response.status(), started.elapsed());
        response
    }
}

impl App {
    /// Answers what never became a request, and counts it.
    pub(crate) fn refuse_unread(&self, error: ApiError) -> (Parts, Vec<u8>) {
        let (id, started) = (RequestId::fresh(), Instant::now());
        let body = serde_json::to_vec(&error.problem(Some(&id))).unwrap_or_default();
        let response = respond::finish(Ok(respond::unrendered(error)), &id, None);
        self.shared.routes.count(self.shared.routes.find(""), response.status(), started.elapsed());
        (response.into_parts().0, body)
    }
}

impl Service<Request<Body>> for App {
    type Response = Response;
    type Error = Infallible;
    type Future = Boxed<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let id = request.headers().get(request_id::HEADER).and_then(RequestId::from_header);
        let id = id.unwrap_or_else(RequestId::fresh);
        let route = self.shared.routes.find(request.uri().path());
        let line = AccessLine::of(&request);
        let page = self.error_page.filter(|_| asks_for_a_page(request.headers()));
        let Some(turn) = self.shared.turns.take(route) else {
            let error = ApiError::new(ProblemCode::Overloaded, "too many requests are in work; try again");
            return Box::pin(std::future::ready(Ok(self.refuse(&request, error))));
        };
        request.extensions_mut().insert(id.clone());
        let direct = self.direct.as_ref().filter(|d| d.method == request.method() && d.path == request.uri().path());
        let answer = match direct {
            Some(direct) => Answer::Direct((direct.handler)(request)),
            None => Answer::Routed(self.router.call(request)),
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let component = shared.component;
            let outcome = match answer {
                Answer::Direct(answer) => caught(component, answer).await,
                Answer::Routed(answer) => {
                    caught(component, async { answer.await.unwrap_or_else(|never| match never {}) }).await
                }
            };
            let finish = || {
                let response = respond::finish(outcome, &id, page);
                let took = started.elapsed();
                shared.routes.count(route, response.status(), took);
                if let Some(line) = line {
                    line.log(&id, response.status(), took);
                }
                drop(turn);
                response
            };
            Ok(logging::scope_of(component, finish))
        })
    }
}

fn asks_for_a_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// An answer on its way.
enum Answer<R> {
    Direct(Boxed<Response>),
    Routed(R),
}

/// The answer, or what a handler panicked with.
async fn caught<F>(component: Option<Component>, answer: F) -> Result<Response, Box<dyn Any + Send>>
where
    F: Future<Output = Response>,
{
    let mut answer = pin!(answer);
    // After a panic the future is never polled again, so a broken state inside it is never seen.
    poll_fn(|cx| {
        let poll = || answer.as_mut().poll(cx);
        match catch_unwind(AssertUnwindSafe(|| logging::scope_of(component, poll))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

#[cfg(test)]
mod tests;

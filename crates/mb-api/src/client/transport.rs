//! The two ways of a request: over mutual TLS, or straight into the main server's own router.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::response::Response as AxumResponse;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::error::ClientError;
use crate::peer::Peer;

/// The largest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How requests get to the main server.
#[derive(Clone, Debug)]
pub enum Transport {
    /// Over the network.
    Mtls(Box<Mtls>),
    /// Within the process.
    InProcess(InProcess),
}

/// A pool of TLS connections to one main server, HTTP/2 where it is offered.
#[derive(Clone, Debug)]
pub struct Mtls {
    pool: Arc<ArcSwap<Pool>>,
    authority: Authority,
}

type Pool = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The main server's router and the peer that it sees.
#[derive(Clone)]
pub struct InProcess {
    service: BoxCloneSyncService<Request<Body>, AxumResponse, Infallible>,
    peer: Arc<ArcSwap<Peer>>,
}

/// Another certificate for a client that goes on working.
#[derive(Clone, Debug)]
pub struct NewIdentity {
    /// Whom it names, for calls within the process.
    pub peer: Peer,
    /// The certificate with its key, and the trust, for calls over the network.
    pub tls: rustls::ClientConfig,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Transport {
    /// Connects to `base`, an `https://host[:port]` URL, with the certificate and the trust in `tls`.
    ///
    /// # Errors
    /// [`ClientError::BadRequest`] if `base` is not such a URL.
    pub fn mtls(tls: rustls::ClientConfig, base: &str) -> Result<Self, ClientError> {
        Ok(Self::Mtls(Box::new(Mtls::new(tls, base)?)))
    }

    /// Calls `service`, the main server's router with its middleware, as `peer`.
    pub fn in_process<S>(service: S, peer: Peer) -> Self
    where
        S: tower::Service<Request<Body>, Response = AxumResponse, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let peer = Arc::new(ArcSwap::from_pointee(peer));
        Self::InProcess(InProcess { service: BoxCloneSyncService::new(service), peer })
    }

    /// Makes all later calls with another certificate, of clones too; calls under way finish as they began.
    pub(super) fn adopt(&self, identity: NewIdentity) {
        match self {
            Self::Mtls(mtls) => mtls.pool.store(Arc::new(pool(identity.tls))),
            Self::InProcess(inner) => inner.peer.store(Arc::new(identity.peer)),
        }
    }

    /// The answer as soon as it begins; `deadline` is for that. Its body comes as it is made.
    pub(super) async fn open(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Body>, ClientError> {
        let call = async {
            match self {
                Self::Mtls(mtls) => mtls.request(request).await.map(|response| response.map(Body::new)),
                Self::InProcess(inner) => Ok(inner.request(request).await),
            }
        };
        tokio::time::timeout(deadline, call).await.unwrap_or(Err(ClientError::Timeout))
    }

    pub(super) async fn call(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let call = async {
            match self {
                Self::Mtls(mtls) => mtls.call(request).await,
                Self::InProcess(inner) => inner.call(request).await,
            }
        };
        tokio::time::timeout(deadline, call).await.unwrap_or(Err(ClientError::Timeout))
    }
}

impl Mtls {
    fn new(tls: rustls::ClientConfig, base: &str) -> Result<Self, ClientError> {
        let bad = |why: &str| ClientError::BadRequest(format!("{base}: {why}"));
        let uri: Uri = base.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        if uri.scheme() != Some(&Scheme::HTTPS) || !matches!(uri.path(), "" | "/") {
            return Err(bad("the main server's URL is https://host[:port]"));
        }
        let authority = uri.authority().cloned().ok_or_else(|| bad("it names no host"))?;
        Ok(Self { pool: Arc::new(ArcSwap::from_pointee(pool(tls))), authority })
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let (parts, body) = self.request(request).await?.into_parts();
        Ok(Response::from_parts(parts, read(body).await?))
    }

    async fn request(&self, request: Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let (mut parts, body) = request.into_parts();
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTPS);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query =
            Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(uri).map_err(|error| ClientError::BadRequest(error.to_string()))?;
        let request = Request::from_parts(parts, Full::new(body));
        self.pool.load_full().request(request).await.map_err(|error| ClientError::Unreachable(error.into()))
    }
}

impl InProcess {
    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let (parts, body) = self.request(request).await.into_parts();
        Ok(Response::from_parts(parts, read(body).await?))
    }

    async fn request(&self, request: Request<Bytes>) -> AxumResponse {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Peer::clone(&self.peer.load()));
        match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn pool(mut tls: rustls::ClientConfig) -> Pool {
    // The connector sets the protocols itself and takes no configuration that names some.
    tls.alpn_protocols.clear();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(5)));
    tcp.set_keepalive(Some(Duration::from_mins(1)));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions().wrap_connector(tcp);
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_mins(1))
        .pool_max_idle_per_host(32)
        .http2_initial_stream_window_size(1 << 20)
        .http2_initial_connection_window_size(4 << 20)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        .build(connector)
}

pub(super) async fn read<B>(body: B) -> Result<Bytes, ClientError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = Limited::new(body, MAX_ANSWER);
    limited.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            ClientError::BadAnswer(format!("it is larger than {MAX_ANSWER} bytes"))
        } else {
            ClientError::Unreachable(error)
        }
    })
}

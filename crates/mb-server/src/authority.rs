//! Certificates with their records: nothing is issued that the store does not know.
//!
//! The record is written before the certificate is handed out, so every certificate in the world can be listed and
//! revoked; a crash in between leaves a record of a certificate that nobody holds.

mod enrolment;
mod listed;
mod renewal;
mod revocations;
mod revoking;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, Clock, DomainName, FieldError, Identity, Role, Timestamp};
use mb_crypto::CryptoError;
use mb_crypto::ca::{Ca, IssueRequest, Issued, Signed, SigningRequest};
use mb_store::{CertificateRow, Ground, Recorded, Store, StoreError};

use crate::routes::store_fault;

pub use listed::take_in;
pub use revocations::{RENEW_AFTER, RevocationList};
pub use revoking::{TakenBack, Which};

/// One year: the validity of leaf certificates where none is asked for (contract, section 7).
const DEFAULT_VALIDITY: Duration = Duration::from_hours(365 * 24);

/// Seconds after which to ask again while proxies are awaited: most are there within one.
const AWAITED_RETRY: u32 = 5;

/// What certificate to issue.
#[derive(Clone, Debug)]
pub struct Order {
    /// CN: a client's name, or a component's.
    pub name: String,
    /// What it entitles to.
    pub role: Role,
    /// The tenant, for clients and consumers; `None` = the client's own, or `default` for a new one.
    pub domain: Option<DomainName>,
    /// Host names and addresses, beside those that serving roles always get: `localhost`, the machine's and the system's.
    pub sans: Vec<String>,
    /// How long; `None` = one year.
    pub validity: Option<Duration>,
}

/// The certificate authorities of an installation: one, or several while one takes another's place.
#[derive(Debug)]
pub struct Authorities {
    /// The one that issues; its bundle holds every certificate that is trusted.
    pub issuing: Ca,
    /// The one before it, while that is trusted still: each signs a revocation list of its own.
    pub previous: Option<Ca>,
    /// The certificates of those that are trusted no more but for what was signed under them in the past, PEM; may be empty.
    pub retired: String,
}

impl From<Ca> for Authorities {
    fn from(issuing: Ca) -> Self {
        Self { issuing, previous: None, retired: String::new() }
    }
}

/// The CA together with its records.
#[derive(Debug)]
pub struct Authority {
    ca: ArcSwap<Ca>,
    previous: ArcSwapOption<Ca>,
    own_names: Vec<String>,
    kept: revocations::Kept,
    store: Store,
    clock: Clock,
}

impl Authority {
    pub(crate) fn new(authorities: Authorities, own_names: Vec<String>, store: Store, clock: Clock) -> Self {
        let Authorities { issuing, previous, .. } = authorities;
        let previous = ArcSwapOption::new(previous.map(Arc::new));
        let kept = revocations::Kept::default();
        Self { ca: ArcSwap::from_pointee(issuing), previous, own_names, kept, store, clock }
    }

    /// The names that every serving certificate carries, whoever orders it.
    pub fn own_names(&self) -> &[String] {
        &self.own_names
    }

    /// The certificates of the trusted CAs, PEM: one, or two while one takes the other's place.
    pub fn ca_pem(&self) -> String {
        self.ca.load().certificate_pem().to_owned()
    }

    /// From now on this one issues.
    pub(crate) fn adopt(&self, ca: Ca) {
        self.ca.store(Arc::new(ca));
    }

    /// From now on this one signs a revocation list beside the one that issues.
    pub(crate) fn adopt_previous(&self, ca: Option<Ca>) {
        self.previous.store(ca.map(Arc::new));
    }

    /// Whether both are one authority with one set of trusted certificates.
    pub(crate) fn is(&self, ca: &Ca) -> bool {
        let held = self.ca.load();
        held.certificate_pem() == ca.certificate_pem() && held.issuer_id() == ca.issuer_id()
    }

    /// Which CA issues.
    pub(crate) fn ca_id(&self) -> [u8; 16] {
        self.ca.load().issuer_id()
    }

    /// When the CA's certificate ends.
    pub fn ca_not_after(&self) -> Timestamp {
        self.ca.load().not_after()
    }

    /// Issues a certificate with a fresh key, creating its domain and client if they are new.
    ///
    /// # Errors
    /// `validation_failed` for a bad name, `conflict` if the client belongs to another domain or may not act,
    /// `unavailable`.
    pub async fn issue(&self, order: Order, actor: &str) -> Result<Issued, ApiError> {
        self.issue_on(Ground::Order, order, actor).await
    }

    async fn issue_on(&self, ground: Ground<'_>, order: Order, actor: &str) -> Result<Issued, ApiError> {
        let order = self.with_own_names(order);
        let domain = self.place(&order, actor).await?;
        let (ca, now) = (self.ca.load_full(), self.clock.now());
        let issued = aside(move || ca.issue(&request(&order, domain.as_ref(), now))).await?.map_err(bad_order)?;
        self.record(ground, &issued.identity, &issued.certificate_pem, actor).await?;
        Ok(issued)
    }

    /// Issues a certificate for a key that its holder keeps.
    ///
    /// # Errors
    /// As [`Authority::issue`]; `validation_failed` if `request` is no sound signing request.
    pub async fn sign(&self, order: Order, request: &str, actor: &str) -> Result<Signed, ApiError> {
        let request = read_request(request).await?;
        let order = self.with_own_names(order);
        let signed = self.sign_unrecorded(order, request, actor).await?;
        self.record(Ground::Order, &signed.identity, &signed.certificate_pem, actor).await?;
        Ok(signed)
    }

    /// The same, to be handed out only once it is recorded.
    async fn sign_unrecorded(&self, order: Order, key: SigningRequest, actor: &str) -> Result<Signed, ApiError> {
        let domain = self.place(&order, actor).await?;
        let (ca, now) = (self.ca.load_full(), self.clock.now());
        aside(move || ca.sign(&key, &request(&order, domain.as_ref(), now))).await?.map_err(bad_order)
    }

    fn with_own_names(&self, mut order: Order) -> Order {
        if order.role.serves() {
            order.sans.extend_from_slice(&self.own_names);
        }
        order
    }

    /// Records what may be handed out then.
    async fn record(
        &self,
        ground: Ground<'_>,
        identity: &Identity,
        certificate_pem: &str,
        actor: &str,
    ) -> Result<(), ApiError> {
        let row = row(identity, certificate_pem);
        let recorded = self.store.record_certificate(&row, ground, actor).await.map_err(store_fault)?;
        refused(&identity.name, &recorded).map_or(Ok(()), Err)
    }

    async fn place(&self, order: &Order, actor: &str) -> Result<Option<DomainName>, ApiError> {
        let Some(name) = ClientName::parse(&order.name) else {
            let field = FieldError::new("/client_id", "invalid_name", mb_core::name::NAME_RULE);
            return Err(ApiError::invalid(vec![field]));
        };
        if let Some(whose) = whose(name.as_str(), order.role) {
            let detail = format!("the name {name} is of {whose}: choose another");
            return Err(ApiError::invalid(vec![FieldError::new("/client_id", "reserved_name", detail)]));
        }
        if !order.role.has_domain() {
            return Ok(None);
        }
        let existing = self.store.client(&name).await.map_err(store_fault)?;
        let domain = match (&order.domain, existing) {
            (Some(asked), _) => asked.clone(),
            (None, Some(client)) => client.domain,
            (None, None) => DomainName::default(),
        };
        match self.store.ensure_client(&name, &domain, actor).await {
            Ok(_) => Ok(Some(domain)),
            Err(error @ StoreError::ClientElsewhere { .. }) => {
                Err(ApiError::new(ProblemCode::Conflict, error.to_string()))
            }
            Err(error) => Err(store_fault(error)),
        }
    }
}

fn request<'a>(order: &'a Order, domain: Option<&'a DomainName>, now: Timestamp) -> IssueRequest<'a> {
    IssueRequest {
        name: &order.name,
        role: order.role,
        domain,
        sans: &order.sans,
        validity: order.validity.unwrap_or(DEFAULT_VALIDITY),
        now,
    }
}

fn row(identity: &Identity, certificate_pem: &str) -> CertificateRow {
    CertificateRow {
        issuer: identity.issuer,
        serial: identity.serial.clone(),
        fingerprint: identity.fingerprint.clone(),
        name: identity.name.clone(),
        role: identity.role,
        domain: identity.domain.clone(),
        not_before: identity.not_before,
        not_after: identity.not_after,
        certificate_pem: certificate_pem.to_owned(),
        revocation: None,
    }
}

/// Why a certificate is not handed out, if it is not.
fn refused(name: &str, recorded: &Recorded) -> Option<ApiError> {
    match recorded {
        Recorded::Done | Recorded::Before(_) => None,
        Recorded::Inactive(status) => {
            let status = status.as_str();
            Some(ApiError::new(ProblemCode::Conflict, format!("the client {name} is {status}: make it active first")))
        }
        Recorded::Revoked => {
            Some(ApiError::new(ProblemCode::CertificateRevoked, "the certificate to be renewed was revoked"))
        }
        Recorded::TooMany(count) => {
            let detail = format!("{count} valid certificates of {name} follow this one: revoke some first");
            Some(ApiError::new(ProblemCode::Conflict, detail))
        }
        Recorded::Awaited(proxies) => {
            let proxies = proxies.join(", ");
            let detail = format!(
                "the database was restored, and what is revoked is not known until these proxies have told it: {proxies}"
            );
            Some(ApiError::new(ProblemCode::Unavailable, detail).retry_after(AWAITED_RETRY))
        }
        Recorded::Unknown => {
            let detail = "nothing is recorded here of the certificate to be renewed: ask for a new one";
            Some(ApiError::new(ProblemCode::Conflict, detail))
        }
        Recorded::NoToken => Some(enrolment::invalid_token()),
    }
}

/// The same as the holder of the certificate is told, who is no administrator.
fn refused_to_holder(name: &str, recorded: &Recorded) -> Option<ApiError> {
    match recorded {
        Recorded::Inactive(_) => Some(ApiError::new(ProblemCode::ClientSuspended, "the client is suspended")),
        other => refused(name, other),
    }
}

/// Whose name it is, in words, if it is not for a holder of this role.
fn whose(name: &str, role: Role) -> Option<String> {
    if name == "ca" {
        return Some("the certificate authority".into());
    }
    let owner = Role::of_component(name).filter(|owner| *owner != role)?;
    Some(format!("the {owner} component"))
}

/// Keys and signatures: not on a thread that serves requests.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}

async fn read_request(text: &str) -> Result<SigningRequest, ApiError> {
    let text = text.to_owned();
    aside(move || SigningRequest::from_pem(&text)).await?.map_err(bad_request)
}

fn bad_request(error: CryptoError) -> ApiError {
    ApiError::invalid(vec![FieldError::new("/csr", "invalid", error.to_string())]).caused_by(error)
}

fn bad_order(error: CryptoError) -> ApiError {
    let field = FieldError::new("/sans", "invalid", "not a host name or address that a certificate can carry");
    ApiError::invalid(vec![field]).caused_by(error)
}

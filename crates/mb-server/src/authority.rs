//! Certificates with their records: nothing is issued that the store does not know.
//!
//! The record is written before the certificate is handed out, so every certificate in the world can be listed and
//! revoked; a crash in between leaves a record of a certificate that nobody holds.

mod enrolment;
mod listed;
mod renewal;
mod revocations;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, Clock, DomainName, FieldError, Identity, Role, Timestamp, hex};
use mb_crypto::CryptoError;
use mb_crypto::ca::{Ca, IssueRequest, Issued, Signed, SigningRequest};
use mb_store::{CertificateFilter, CertificateRow, Ground, Recorded, RevokeTarget, Store, StoreError};

use crate::routes::store_fault;

pub use listed::take_in;
pub use revocations::{RENEW_AFTER, RevocationList};

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

/// Which certificates to revoke.
#[derive(Clone, Debug)]
pub enum Which {
    /// All valid ones of a client or component; of the one that the name means, if no role is said.
    Name(String, Option<Role>),
    /// The one with this serial number, hexadecimal.
    Serial(String),
}

/// What was taken back.
#[derive(Debug)]
pub struct TakenBack {
    /// The certificates that are revoked from now on.
    pub certificates: Vec<CertificateRow>,
    /// How many tokens for a first certificate are good no more.
    pub tokens: u64,
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

    /// Revokes what is not revoked yet; it is in the store's revoked set when this returns. Whoever is revoked by name has no
    /// token for another certificate, either, in whatever role if none is said. Repeating it changes nothing.
    ///
    /// # Errors
    /// `not_found` if nothing has that name or serial, `conflict` if the name is of several holders, `unavailable`.
    pub async fn revoke(&self, which: &Which, reason: &str, actor: &str) -> Result<TakenBack, ApiError> {
        let (target, known, tokens) = match which {
            Which::Name(name, role) => {
                // Where the name is of several nothing is changed.
                self.meant(name, *role).await?;
                // First, so that none of them becomes a certificate that is not seen.
                let voided = role.map_or(Role::ALL.to_vec(), |role| vec![role]);
                let tokens = self.store.void_enrolments(name, &voided, actor).await.map_err(store_fault)?;
                let (roles, known) = self.meant(name, *role).await?;
                (RevokeTarget::Name(name.clone(), roles), known || tokens > 0, tokens)
            }
            Which::Serial(serial) => {
                (RevokeTarget::Serial(serial_number(serial)?), !self.aimed_at(which).await?.is_empty(), 0)
            }
        };
        if !known {
            return Err(ApiError::new(ProblemCode::NotFound, "no certificate has that name or serial number"));
        }
        let certificates = self.store.revoke(&target, reason, actor).await.map_err(store_fault)?;
        Ok(TakenBack { certificates, tokens })
    }

    /// The roles in which a name is meant, and whether somebody has it.
    async fn meant(&self, name: &str, role: Option<Role>) -> Result<(Vec<Role>, bool), ApiError> {
        let rows = self.named(name).await?;
        // Who has a token for its first certificate is known as a client.
        let is_client = match ClientName::parse(name) {
            Some(name) => self.store.client(&name).await.map_err(store_fault)?.is_some(),
            None => false,
        };
        let held = roles::held(&rows, self.clock.now());
        Ok((roles::meant(name, role, &held)?, is_client || !rows.is_empty()))
    }

    /// The certificates that are meant, revoked before or not.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn aimed_at(&self, which: &Which) -> Result<Vec<CertificateRow>, ApiError> {
        match which {
            Which::Name(name, _) => self.named(name).await,
            Which::Serial(serial) => {
                let filter = CertificateFilter { serial: Some(serial_number(serial)?), ..CertificateFilter::default() };
                self.store.certificates(&filter).await.map_err(store_fault)
            }
        }
    }

    /// What was renewed over these certificates and is not revoked, without what was renewed over that in turn.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn successors(&self, of: &[CertificateRow]) -> Result<Vec<CertificateRow>, ApiError> {
        let mut found = Vec::new();
        for row in of {
            found.extend(self.store.successors(&row.serial).await.map_err(store_fault)?);
        }
        Ok(found)
    }

    /// Revokes what was renewed over revoked certificates, and over that, and so on; returns it.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn revoke_successors(
        &self,
        of: &[CertificateRow],
        reason: &str,
        actor: &str,
    ) -> Result<Vec<CertificateRow>, ApiError> {
        let (mut revoked, mut next) = (Vec::new(), self.successors(of).await?);
        // What is revoked is followed by nothing more, so this ends.
        while !next.is_empty() {
            for row in &next {
                let target = RevokeTarget::Serial(row.serial.clone());
                revoked.extend(self.store.revoke(&target, reason, actor).await.map_err(store_fault)?);
            }
            next = self.successors(&next).await?;
        }
        Ok(revoked)
    }

    async fn named(&self, name: &str) -> Result<Vec<CertificateRow>, ApiError> {
        let filter = CertificateFilter { name: Some(name.to_owned()), ..CertificateFilter::default() };
        self.store.certificates(&filter).await.map_err(store_fault)
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

fn serial_number(text: &str) -> Result<Vec<u8>, ApiError> {
    parse_serial(text).ok_or_else(|| {
        ApiError::invalid(vec![FieldError::new("/serial", "invalid", "serial must be hexadecimal digits")])
    })
}

/// Reads a serial number as `openssl` and `ca list` print it: hexadecimal, colons allowed, leading zeros dropped.
fn parse_serial(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
    if digits.is_empty() || digits.len() > 64 {
        return None;
    }
    let bytes = hex::decode(&digits)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::parse_serial;

    #[test]
    fn serials_are_read_as_openssl_prints_them() {
        assert_eq!(parse_serial("00:0A:ff"), Some(vec![0x0a, 0xff]));
        assert_eq!(parse_serial("aff"), Some(vec![0x0a, 0xff]));
        for bad in ["", "xyz", "é1", &"a".repeat(66)] {
            assert_eq!(parse_serial(bad), None, "{bad}");
        }
    }
}

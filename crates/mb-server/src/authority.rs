//! Certificates with their records: nothing is issued that the store does not know.
//!
//! The record is written before the certificate is handed out, so every certificate in the world can be listed and
//! revoked; a crash in between leaves a record of a certificate that nobody holds.

mod enrolment;
mod renewal;
mod revocations;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use mb_api::problem::{ApiError, ProblemCode};
use mb_core::{ClientName, Clock, DomainName, FieldError, Identity, Role, Timestamp, hex};
use mb_crypto::CryptoError;
use mb_crypto::ca::{Ca, IssueRequest, Issued, Signed, SigningRequest};
use mb_store::{CertificateFilter, CertificateRow, RevokeTarget, Store, StoreError};

use crate::routes::store_fault;

pub use revocations::RevocationList;

/// One year: the validity of leaf certificates where none is asked for (contract, section 7).
const DEFAULT_VALIDITY: Duration = Duration::from_hours(365 * 24);

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
    /// All valid ones of a client or component.
    Name(String),
    /// The one with this serial number, hexadecimal.
    Serial(String),
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
    store: Store,
    clock: Clock,
}

impl Authority {
    pub(crate) fn new(authorities: Authorities, own_names: Vec<String>, store: Store, clock: Clock) -> Self {
        let Authorities { issuing, previous, .. } = authorities;
        let previous = ArcSwapOption::new(previous.map(Arc::new));
        Self { ca: ArcSwap::from_pointee(issuing), previous, own_names, store, clock }
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
    /// `validation_failed` for a bad name, `conflict` if the client belongs to another domain, `unavailable`.
    pub async fn issue(&self, order: Order, actor: &str) -> Result<Issued, ApiError> {
        let order = self.with_own_names(order);
        let domain = self.place(&order, actor).await?;
        let issued = self.ca.load().issue(&self.request(&order, domain.as_ref())).map_err(bad_order)?;
        self.record(&issued.identity, &issued.certificate_pem, actor).await?;
        Ok(issued)
    }

    /// Issues a certificate for a key that its holder keeps.
    ///
    /// # Errors
    /// As [`Authority::issue`]; `validation_failed` if `request` is no sound signing request.
    pub async fn sign(&self, order: Order, request: &str, actor: &str) -> Result<Signed, ApiError> {
        let request = SigningRequest::from_pem(request).map_err(bad_request)?;
        let order = self.with_own_names(order);
        let domain = self.place(&order, actor).await?;
        let signed = self.ca.load().sign(&request, &self.request(&order, domain.as_ref())).map_err(bad_order)?;
        self.record(&signed.identity, &signed.certificate_pem, actor).await?;
        Ok(signed)
    }

    fn with_own_names(&self, mut order: Order) -> Order {
        if order.role.serves() {
            order.sans.extend_from_slice(&self.own_names);
        }
        order
    }

    fn request<'a>(&self, order: &'a Order, domain: Option<&'a DomainName>) -> IssueRequest<'a> {
        IssueRequest {
            name: &order.name,
            role: order.role,
            domain,
            sans: &order.sans,
            validity: order.validity.unwrap_or(DEFAULT_VALIDITY),
            now: self.clock.now(),
        }
    }

    async fn record(&self, identity: &Identity, certificate_pem: &str, actor: &str) -> Result<(), ApiError> {
        let row = CertificateRow {
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
        };
        self.store.insert_certificate(&row, actor).await.map_err(store_fault)
    }

    async fn place(&self, order: &Order, actor: &str) -> Result<Option<DomainName>, ApiError> {
        let Some(name) = ClientName::parse(&order.name) else {
            let field = FieldError::new("/client_id", "invalid_name", mb_core::name::NAME_RULE);
            return Err(ApiError::invalid(vec![field]));
        };
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

    /// Revokes what is not revoked yet; it is in the store's revoked set when this returns. Repeating it changes nothing.
    ///
    /// # Errors
    /// `not_found` if nothing has that name or serial, `unavailable`.
    pub async fn revoke(&self, which: &Which, reason: &str, actor: &str) -> Result<Vec<CertificateRow>, ApiError> {
        let (target, filter) = match which {
            Which::Name(name) => (
                RevokeTarget::Name(name.clone()),
                CertificateFilter { name: Some(name.clone()), ..CertificateFilter::default() },
            ),
            Which::Serial(serial) => {
                let Some(serial) = parse_serial(serial) else {
                    let field = FieldError::new("/serial", "invalid", "serial must be hexadecimal digits");
                    return Err(ApiError::invalid(vec![field]));
                };
                let filter = CertificateFilter { serial: Some(serial.clone()), ..CertificateFilter::default() };
                (RevokeTarget::Serial(serial), filter)
            }
        };
        if self.store.certificates(&filter).await.map_err(store_fault)?.is_empty() {
            return Err(ApiError::new(ProblemCode::NotFound, "no certificate has that name or serial number"));
        }
        self.store.revoke(&target, reason, actor).await.map_err(store_fault)
    }
}

fn bad_request(error: CryptoError) -> ApiError {
    ApiError::invalid(vec![FieldError::new("/csr", "invalid", error.to_string())]).caused_by(error)
}

fn bad_order(error: CryptoError) -> ApiError {
    let field = FieldError::new("/sans", "invalid", "not a host name or address that a certificate can carry");
    ApiError::invalid(vec![field]).caused_by(error)
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

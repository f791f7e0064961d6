//! What the policy takes from the store.

use std::collections::{BTreeMap, BTreeSet};

use mb_core::policy::CertificateRef;
use mb_core::{ClientName, ClientStatus, DomainName, DomainRules, MessageId, Role, Timestamp};

use crate::Store;
use crate::domains;
use crate::error::StoreError;
use crate::value::Value;

/// The parts of the policy that live in the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyParts {
    /// The version that these parts have at least.
    pub version: u64,
    /// Revoked certificates that have not expired.
    pub revoked: BTreeSet<CertificateRef>,
    /// Revoked certificates of proxies, expired or not: what they signed stays in doubt for ever.
    pub revoked_proxies: BTreeSet<CertificateRef>,
    /// Clients that may not act: suspended and archived ones.
    pub suspended: BTreeSet<ClientName>,
    /// Rules of tenants that differ from the default.
    pub domains: BTreeMap<DomainName, DomainRules>,
    /// Messages per 60 s of clients that have a limit of their own; 0 is no limit.
    pub client_rate_limits: BTreeMap<ClientName, u32>,
    /// Messages whose content was removed for good, and when; the newest of them.
    pub expunged: BTreeMap<MessageId, Timestamp>,
}

impl Store {
    /// The parts of the policy. The version is read first: a change in between makes the parts newer than it says, and
    /// the next question brings them again.
    pub async fn policy_parts(&self) -> Result<PolicyParts, StoreError> {
        let version = self.policy_version().await?;
        let sql = "SELECT issuer, serial, role, not_after FROM certificates \
                   WHERE revoked_at IS NOT NULL AND (not_after >= ? OR role = ?)";
        let now = self.now();
        let values = [Value::Time(now), Value::Text(Role::Proxy.as_str())];
        let (mut revoked, mut revoked_proxies) = (BTreeSet::new(), BTreeSet::new());
        for row in self.backend().fetch(sql, values).await? {
            let certificate = CertificateRef { issuer: row.array(0)?, serial: row.blob(1)?.to_vec() };
            if row.text(2)? == Role::Proxy.as_str() {
                revoked_proxies.insert(certificate.clone());
            }
            if row.time(3)? >= now {
                revoked.insert(certificate);
            }
        }
        let sql = "SELECT name FROM clients WHERE status <> ?";
        let rows = self.backend().fetch(sql, [Value::Text(ClientStatus::Active.as_str())]).await?;
        let suspended = rows.iter().map(|row| row.client(0)).collect::<Result<_, _>>()?;
        let domains = self.backend().fetch(domains::WITH_RULES, []).await?;
        let domains = domains.iter().map(domains::read).map(|domain| domain.map(|domain| (domain.name, domain.rules)));
        let sql = "SELECT name, rate_limit FROM clients WHERE rate_limit IS NOT NULL";
        let rows = self.backend().fetch(sql, []).await?;
        let limits = rows.iter().map(|row| Ok((row.client(0)?, row.optional_count(1)?.unwrap_or_default())));
        Ok(PolicyParts {
            version,
            revoked,
            revoked_proxies,
            suspended,
            domains: domains.collect::<Result<_, _>>()?,
            client_rate_limits: limits.collect::<Result<_, StoreError>>()?,
            expunged: self.tombstones().await?,
        })
    }
}

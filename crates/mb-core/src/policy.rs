//! What the main server tells the edge: whom to refuse, what each tenant's messages may look like, which key to seal to.
//!
//! A policy is whole and versioned; an edge holds one at a time and asks it on every request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::client::Identity;
use crate::clock::Timestamp;
use crate::id::{KeyId, MessageId};
use crate::name::{ClientName, DomainName};
use crate::rate::RateLimit;
use crate::role::Role;
use crate::submission::BodyRules;

/// Rows of messages live at least this long whatever a domain's retention says, so an older envelope may be a repeat of one
/// that is gone, and is not taken (design, 1).
pub const HORIZON: Duration = Duration::from_hours(30 * 24);

/// One certificate, by issuer and serial number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct CertificateRef {
    /// [`Identity::issuer`].
    pub issuer: [u8; 16],
    /// [`Identity::serial`].
    pub serial: Vec<u8>,
}

/// The main server's public key for data keys.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct MasterPublicKey {
    /// First 16 bytes of the SHA-256 of `x25519`.
    pub id: KeyId,
    /// X25519 public key (RFC 7748), 32 bytes.
    pub x25519: Vec<u8>,
}

/// The whole policy.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Policy {
    /// Counts up with every change.
    pub version: u64,
    /// The trusted CA certificates, PEM.
    pub ca_pem: String,
    /// [`Identity::issuer`] of what those CAs issue. Who was let in under another one may do nothing any more; none in a
    /// policy from before this was said, which leaves it to handshakes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub issuers: BTreeSet<[u8; 16]>,
    /// The key to wrap data keys to.
    pub master_key: MasterPublicKey,
    /// Certificates that are refused.
    pub revoked: BTreeSet<CertificateRef>,
    /// Clients that are refused, with all their certificates.
    pub suspended: BTreeSet<ClientName>,
    /// Rules of tenants that differ from the default.
    pub domains: BTreeMap<DomainName, BodyRules>,
    /// How many messages clients may send; none in a policy from before there were limits.
    #[serde(default)]
    pub limits: RateLimits,
    /// Messages whose content was removed for good, and when: a copy of one is not offered again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expunged: BTreeMap<MessageId, Timestamp>,
}

/// Limits that differ from a proxy's own, in messages per [`crate::rate::WINDOW`] and client; 0 is no limit.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct RateLimits {
    /// Live proxies, which share every limit; 0 if none is known.
    pub proxies: u32,
    /// For each client of a tenant.
    pub domains: BTreeMap<DomainName, u32>,
    /// For single clients.
    pub clients: BTreeMap<ClientName, u32>,
}

impl RateLimits {
    /// What a proxy whose own limit is `own` holds a client to: the client's limit, else its tenant's, else its own.
    pub fn of(&self, client: &ClientName, domain: &DomainName, own: u32) -> Option<RateLimit> {
        let limit = self.clients.get(client).or_else(|| self.domains.get(domain)).copied().unwrap_or(own);
        RateLimit::share(limit, self.proxies)
    }
}

/// Why an identity may not do what it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The certificate is not, or no longer, valid.
    Expired,
    /// The certificate was revoked.
    Revoked,
    /// The authority that issued the certificate is trusted no more.
    Untrusted,
    /// The client is suspended.
    Suspended,
    /// The certificate's role is not allowed here.
    WrongRole,
}

impl Policy {
    /// Whether `identity` may act in one of `roles` at `now`.
    ///
    /// A certificate whose client the policy does not know is let in: only the revoked and suspended sets refuse, so that
    /// a policy that is a moment old never turns a new client away.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies: revoked, untrusted, expired, wrong role, suspended.
    pub fn admit(&self, identity: &Identity, roles: &[Role], now: Timestamp) -> Result<(), Refusal> {
        if self.is_revoked(identity) {
            return Err(Refusal::Revoked);
        }
        if !self.is_trusted(identity) {
            return Err(Refusal::Untrusted);
        }
        if now > identity.not_after {
            return Err(Refusal::Expired);
        }
        if !roles.contains(&identity.role) {
            return Err(Refusal::WrongRole);
        }
        if self.is_suspended(identity) { Err(Refusal::Suspended) } else { Ok(()) }
    }

    /// Why `identity` may do nothing any more, whatever it was let in for before: revoked, untrusted or suspended.
    pub fn shuts_out(&self, identity: &Identity) -> Option<Refusal> {
        if self.is_revoked(identity) {
            return Some(Refusal::Revoked);
        }
        if !self.is_trusted(identity) {
            return Some(Refusal::Untrusted);
        }
        self.is_suspended(identity).then_some(Refusal::Suspended)
    }

    fn is_trusted(&self, identity: &Identity) -> bool {
        self.issuers.is_empty() || self.issuers.contains(&identity.issuer)
    }

    fn is_suspended(&self, identity: &Identity) -> bool {
        !self.suspended.is_empty()
            && identity.role.has_domain()
            && ClientName::parse(&identity.name).is_some_and(|name| self.suspended.contains(&name))
    }

    /// Whether the identity's certificate is in the revoked set.
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        !self.revoked.is_empty()
            && self.revoked.contains(&CertificateRef { issuer: identity.issuer, serial: identity.serial.clone() })
    }

    /// The rules for messages of `domain`.
    pub fn body_rules(&self, domain: &DomainName) -> BodyRules {
        self.domains.get(domain).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            name: "demo".into(),
            role: Role::Client,
            domain: Some(DomainName::default()),
            issuer: [1; 16],
            serial: vec![2, 3],
            fingerprint: String::new(),
            not_before: Timestamp::from_micros(0),
            not_after: Timestamp::from_micros(100),
        }
    }

    fn policy() -> Policy {
        Policy {
            version: 1,
            ca_pem: String::new(),
            issuers: BTreeSet::new(),
            master_key: MasterPublicKey { id: KeyId::from_bytes([0; 16]), x25519: vec![0; 32] },
            revoked: BTreeSet::new(),
            suspended: BTreeSet::new(),
            domains: BTreeMap::new(),
            limits: RateLimits::default(),
            expunged: BTreeMap::new(),
        }
    }

    #[test]
    fn each_reason_refuses_and_an_unknown_client_is_let_in() {
        let now = Timestamp::from_micros(50);
        let mut policy = policy();
        assert_eq!(policy.admit(&identity(), &[Role::Client], now), Ok(()));
        assert_eq!(policy.admit(&identity(), &[Role::Admin], now), Err(Refusal::WrongRole));
        assert_eq!(policy.admit(&identity(), &[Role::Client], Timestamp::from_micros(101)), Err(Refusal::Expired));
        policy.suspended.insert(ClientName::parse("demo").expect("valid"));
        assert_eq!(policy.admit(&identity(), &[Role::Client], now), Err(Refusal::Suspended));
        assert_eq!(policy.shuts_out(&identity()), Some(Refusal::Suspended));
        let operator = Identity { role: Role::Admin, domain: None, ..identity() };
        assert_eq!(policy.shuts_out(&operator), None, "another holder of that name");
        policy.revoked.insert(CertificateRef { issuer: [1; 16], serial: vec![2, 3] });
        assert_eq!(policy.admit(&identity(), &[Role::Client], now), Err(Refusal::Revoked));
        assert_eq!(policy.shuts_out(&identity()), Some(Refusal::Revoked));
    }

    #[test]
    fn who_was_let_in_under_an_authority_that_is_trusted_no_more_is_shut_out() {
        let now = Timestamp::from_micros(50);
        let mut policy = policy();
        policy.issuers.insert([7; 16]);
        assert_eq!(policy.admit(&identity(), &[Role::Client], now), Err(Refusal::Untrusted));
        assert_eq!(policy.shuts_out(&identity()), Some(Refusal::Untrusted));
        policy.issuers.insert([1; 16]);
        assert_eq!((policy.admit(&identity(), &[Role::Client], now), policy.shuts_out(&identity())), (Ok(()), None));
    }

    #[test]
    fn the_closest_limit_holds_and_is_shared() {
        let (client, domain) = (ClientName::parse("demo").expect("valid"), DomainName::default());
        let of = |limits: &RateLimits, own| limits.of(&client, &domain, own).map(RateLimit::messages);
        let mut limits = RateLimits::default();
        assert_eq!((of(&limits, 0), of(&limits, 100)), (None, Some(100)));
        limits.proxies = 3;
        assert_eq!(of(&limits, 100), Some(34));
        limits.domains.insert(domain.clone(), 60);
        assert_eq!((of(&limits, 0), of(&limits, 100)), (Some(20), Some(20)));
        limits.clients.insert(client.clone(), 0);
        assert_eq!(of(&limits, 100), None);
    }

    #[test]
    fn a_policy_from_before_there_were_limits_has_none() {
        let mut json = serde_json::to_value(policy()).expect("serialises");
        json.as_object_mut().expect("an object").remove("limits").expect("it was there");
        assert_eq!(serde_json::from_value::<Policy>(json).expect("reads"), policy());
    }
}

//! What a certificate entitles to.

use std::fmt;

/// The role that a certificate carries. Closed: a certificate with another role is not ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The main server.
    Server,
    /// A proxy: may sign data keys, confirm and read policy.
    Proxy,
    /// A worker: may register and report.
    Worker,
    /// The portal.
    Portal,
    /// An operator's command line.
    Admin,
    /// Takes messages from a pull destination.
    Consumer,
    /// Submits messages.
    Client,
    /// May read metrics.
    Monitoring,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 8] = [
        Self::Server,
        Self::Proxy,
        Self::Worker,
        Self::Portal,
        Self::Admin,
        Self::Consumer,
        Self::Client,
        Self::Monitoring,
    ];

    /// The word used in certificates, the store, the API and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Proxy => "proxy",
            Self::Worker => "worker",
            Self::Portal => "portal",
            Self::Admin => "admin",
            Self::Consumer => "consumer",
            Self::Client => "client",
            Self::Monitoring => "monitoring",
        }
    }

    /// Parses [`Role::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// The role whose own name this is: each machine has one certificate of that name, and nobody else may bear it.
    pub fn of_component(name: &str) -> Option<Self> {
        Self::parse(name).filter(|role| !role.has_domain())
    }

    /// Whether its certificate carries the EKU serverAuth.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Server | Self::Proxy | Self::Worker | Self::Portal)
    }

    /// Whether its certificate carries the EKU clientAuth. A server never calls, so its certificate cannot submit.
    pub const fn calls(self) -> bool {
        !matches!(self, Self::Server)
    }

    /// Whether certificates of this role belong to a tenant.
    pub const fn has_domain(self) -> bool {
        matches!(self, Self::Client | Self::Consumer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

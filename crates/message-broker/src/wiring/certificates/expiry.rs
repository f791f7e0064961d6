//! When a component's certificates begin and end: as gauges, and for health.

use std::sync::{Arc, Mutex, PoisonError};

use mb_core::{Role, Timestamp};
use mb_runtime::metrics::{GaugeFamily, Metrics};
use mb_server::MainServer;

use super::Pair;

/// When a certificate begins and ends.
pub(in crate::wiring) type Life = (Timestamp, Timestamp);

/// When the certificates of a component begin and end, as gauges and for health.
#[derive(Clone, Debug)]
pub(in crate::wiring) struct Expiry {
    gauges: GaugeFamily,
    role: Role,
    lives: Arc<Mutex<Lives>>,
}

#[derive(Clone, Copy, Default, Debug)]
pub(in crate::wiring) struct Lives {
    /// The component's own; `None` before it was read.
    pub(in crate::wiring) own: Option<Life>,
    /// Of what it shows to the public in that one's place, if it does.
    pub(in crate::wiring) public: Option<Life>,
    /// The files have changed and cannot be used as they are now.
    pub(in crate::wiring) unusable: bool,
}

impl Expiry {
    fn of(gauges: &GaugeFamily, role: Role) -> Self {
        Self { gauges: gauges.clone(), role, lives: Arc::default() }
    }

    pub(super) fn show(&self, pair: &Pair) {
        let own = (pair.identity.not_before, pair.identity.not_after);
        self.gauges.of(self.role.as_str()).set(seconds(own.1));
        if let Some((_, ends)) = pair.public {
            self.gauges.of(&format!("{}_public", self.role)).set(seconds(ends));
        }
        let lives = Lives { own: Some(own), public: pair.public, unusable: false };
        *self.lives.lock().unwrap_or_else(PoisonError::into_inner) = lives;
    }

    /// The files cannot be used; what is in use are those before.
    pub(super) fn complain(&self) {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).unusable = true;
    }

    /// As the files were read last.
    pub(in crate::wiring) fn lives(&self) -> Lives {
        *self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the certificate of `role` ends.
pub(in crate::wiring) fn expiry(role: Role, metrics: &mut Metrics) -> Expiry {
    Expiry::of(&expiries(metrics), role)
}

/// The same of both certificates that a main server has: its own and the CA's, as it was at the start.
pub(in crate::wiring) fn expiry_beside_ca(server: &MainServer, metrics: &mut Metrics) -> Expiry {
    let family = expiries(metrics);
    family.of("ca").set(seconds(server.authority().ca_not_after()));
    Expiry::of(&family, Role::Server)
}

fn expiries(metrics: &mut Metrics) -> GaugeFamily {
    metrics.gauge_family(
        "mb_certificate_expiry_timestamp_seconds",
        "When a component's certificate expires, and the CA's, and ROLE_public if another is shown to the public, seconds \
         since 1970.",
        "role",
    )
}

fn seconds(at: Timestamp) -> f64 {
    f64::from(u32::try_from(at.seconds()).unwrap_or(u32::MAX))
}

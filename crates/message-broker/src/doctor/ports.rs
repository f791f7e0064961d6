//! Ports: free, or held by this installation itself.

use mb_core::Role;

use super::{Finding, Patient};
use crate::lock::{Purpose, RoleLock};
use crate::wiring;

const ROLES: [(Role, &str); 4] =
    [(Role::Proxy, "proxy"), (Role::Server, "main-server"), (Role::Worker, "worker"), (Role::Portal, "portal")];

pub(super) fn check(patient: Patient<'_>) -> Vec<Finding> {
    ROLES.into_iter().map(|(role, name)| port(patient, role, name)).collect()
}

fn port(patient: Patient<'_>, role: Role, name: &str) -> Finding {
    let check = format!("port {name}");
    if is_running(patient, name) {
        return Finding::ok(check, "held by the running component itself");
    }
    match wiring::bind(&patient.resolved.config, role) {
        Ok(listener) => Finding::ok(check, format!("{} is free", listener.local_addr())),
        Err(error) => {
            let section = if role == Role::Server { "server" } else { role.as_str() };
            let fix = format!("end what holds it (`ss -ltnp`, on Windows `netstat -abno`), or set {section}.port");
            Finding::fail(check, format!("{error:#}"), fix)
        }
    }
}

fn is_running(patient: Patient<'_>, name: &str) -> bool {
    patient.layout.lock(name).exists()
        && matches!(RoleLock::try_take(patient.layout, name, Purpose::Command), Ok(Err(_)))
}

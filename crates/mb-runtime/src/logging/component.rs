//! Which component a log line is of.
//!
//! Several run in one process, and much of what they log comes from code that all of them share. So a task carries its
//! component with it: what a component spawns is its own, and an in-process call is the callee's while it works.

use mb_core::Role;

tokio::task_local! {
    static CURRENT: Option<Component>;
}

/// A part of the system that runs and has a log file of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Component {
    /// The main server.
    MainServer,
    /// The proxy.
    Proxy,
    /// The worker.
    Worker,
    /// The portal.
    Portal,
}

impl Component {
    /// All of them. The main server comes first: in a process of several it also has what is nobody's.
    pub const ALL: [Self; 4] = [Self::MainServer, Self::Proxy, Self::Worker, Self::Portal];

    /// The component whose certificate has this role.
    pub const fn of_role(role: Role) -> Option<Self> {
        match role {
            Role::Server => Some(Self::MainServer),
            Role::Proxy => Some(Self::Proxy),
            Role::Worker => Some(Self::Worker),
            Role::Portal => Some(Self::Portal),
            Role::Admin | Role::Client | Role::Consumer | Role::Monitoring => None,
        }
    }

    /// Its current log file (contract, section 7).
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::MainServer => "main_server.log",
            Self::Proxy => "proxy.log",
            Self::Worker => "worker.log",
            Self::Portal => "portal.log",
        }
    }

    /// Runs `work` as this component: what it logs and what it spawns is this component's.
    pub fn scope<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self), work)
    }

    /// Whose a line with this target is. The crates of roles say it themselves, also on threads that carry no component;
    /// the journal's threads carry none and are the proxy's.
    pub(super) fn of_line(target: &str) -> Option<Self> {
        match target.split("::").next() {
            Some("mb_proxy") => Some(Self::Proxy),
            Some("mb_worker") => Some(Self::Worker),
            Some("mb_portal") => Some(Self::Portal),
            Some("mb_server" | "mb_store" | "sqlx") => Some(Self::MainServer),
            Some("mb_queue") => current().or(Some(Self::Proxy)),
            _ => current(),
        }
    }
}

/// Runs `work` as `component`, or as whatever runs already if there is none.
pub(crate) fn scope_of<T>(component: Option<Component>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(component.or_else(current), work)
}

/// The same work, wherever it is polled, as the component that runs now.
pub(crate) fn inherited<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current(), work)
}

fn current() -> Option<Component> {
    CURRENT.try_with(|component| *component).ok().flatten()
}

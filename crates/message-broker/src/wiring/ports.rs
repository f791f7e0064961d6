//! The ports of roles, bound before anything is created or changed.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};
use mb_core::Role;
use mb_runtime::Listener;

use crate::config::Config;

/// The four ports of `up`, bound before anything is created or changed.
#[derive(Debug)]
pub struct Ports {
    pub(super) proxy: Listener,
    pub(super) server: Listener,
    pub(super) worker: Listener,
    pub(super) portal: Listener,
}

impl Ports {
    /// Binds all four.
    ///
    /// # Errors
    /// A port is in use, or an address is none of this machine's.
    pub fn bind(config: &Config) -> Result<Self> {
        Ok(Self {
            proxy: bind(config, Role::Proxy)?,
            server: bind(config, Role::Server)?,
            worker: bind(config, Role::Worker)?,
            portal: bind(config, Role::Portal)?,
        })
    }

    /// Where the main server answers to this machine.
    pub fn server_url(&self) -> String {
        format!("https://localhost:{}", self.server.local_addr().port())
    }

    /// The port that clients submit to.
    pub fn proxy_port(&self) -> u16 {
        self.proxy.local_addr().port()
    }
}

/// Binds the port of a role that serves.
///
/// # Errors
/// The port is in use, or the address is none of this machine's.
pub fn bind(config: &Config, role: Role) -> Result<Listener> {
    let (section, host, port) = match role {
        Role::Proxy => ("proxy", &config.proxy.host, config.proxy.port),
        Role::Worker => ("worker", &config.worker.host, config.worker.port),
        Role::Portal => ("portal", &config.portal.host, config.portal.port),
        _ => ("server", &config.server.host, config.server.port),
    };
    let addr = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => (host.as_str(), port)
            .to_socket_addrs()
            .with_context(|| format!("resolve {section}.host {host}"))?
            .next()
            .with_context(|| format!("resolve {section}.host {host}"))?,
    };
    Listener::bind(addr).with_context(|| format!("start the {section} (set {section}.port to use another)"))
}

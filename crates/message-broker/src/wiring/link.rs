//! How a role reaches the main server: within the process, or over mutual TLS.

use anyhow::{Context, Result};
use mb_api::client::{Client, Transport};
use mb_api::peer::Peer;
use mb_core::Role;
use mb_runtime::App;

use super::Wiring;
use crate::access::component_identity;
use crate::layout::{read_secret, read_text};

/// The way to the main server.
#[derive(Clone, Debug)]
pub(super) enum Link {
    /// Its service, in this process.
    InProcess(App),
    /// `server.url`.
    Remote,
}

impl Wiring<'_> {
    /// A client that speaks as this machine's component of `role`.
    pub(super) fn client_as(&self, role: Role, link: &Link) -> Result<Client> {
        let transport = match link {
            Link::InProcess(app) => {
                Transport::in_process(app.clone(), Peer::in_process(component_identity(self.layout, role)?))
            }
            Link::Remote => self.remote(role)?,
        };
        Ok(Client::new(transport))
    }

    fn remote(&self, role: Role) -> Result<Transport> {
        let (certificate, key) = self.layout.component(role.as_str());
        let (certificate, key) = (read_text(&certificate)?, read_secret(&key)?);
        let ca = read_text(&self.layout.ca_certificate())?;
        let tls = mb_crypto::tls::main_server_client_config(Some((&certificate, key.expose())), &ca, &self.revoked)
            .with_context(|| format!("read certs/{role}.crt"))?;
        Transport::mtls(tls, &self.config.server.url()).context("read server.url")
    }
}

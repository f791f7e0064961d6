//! Where everything lies below the data directory (contract, section 7).

mod folders;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use mb_core::Role;
use mb_core::Secret;
use mb_crypto::tls::RevokedSet;

/// The roles whose certificate bears the role's own name, and which each machine has once.
pub const COMPONENTS: [Role; 6] =
    [Role::Server, Role::Proxy, Role::Worker, Role::Portal, Role::Admin, Role::Monitoring];

/// The most bytes of a certificate or key, also of several in one file.
const LARGEST: u64 = 1 << 20;

/// The folders, and who may read what is in them. Certificates and logs are for others too, each key has a mode of its own.
const FOLDERS: [(&str, folders::Readers); 6] = [
    ("certs", folders::Readers::All),
    ("certs/clients", folders::Readers::All),
    ("logs", folders::Readers::All),
    ("secrets", folders::Readers::Owner),
    ("locks", folders::Readers::Owner),
    ("proxy", folders::Readers::Owner),
];

/// Whether a certificate for `name` in `role` has files of its own: the CA's and a component's are never another's.
///
/// # Errors
/// It has not; says why.
pub fn check_name(name: &str, role: Role) -> Result<()> {
    if name == "ca" {
        bail!("the name ca is the certificate authority's own: choose another");
    }
    match COMPONENTS.into_iter().find(|component| component.as_str() == name) {
        Some(component) if component != role => {
            bail!("the name {name} is the {component} component's own: choose another, or --role {component}")
        }
        _ => Ok(()),
    }
}

/// The data directory.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
    settings: Vec<(String, String)>,
}

/// A certificate with its private key, to be written to files.
#[derive(Debug)]
pub struct KeyPair<'a> {
    /// CN.
    pub name: &'a str,
    /// Decides the folder.
    pub role: Role,
    /// PEM.
    pub certificate: &'a str,
    /// PEM.
    pub private_key: &'a Secret<String>,
    /// PEM.
    pub ca_certificate: &'a str,
    /// Lower hexadecimal.
    pub fingerprint: &'a str,
}

impl Layout {
    /// The layout below `root`, which need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), settings: Vec::new() }
    }

    /// The same with settings of the command line, which override those that lie there.
    #[must_use]
    pub fn with_settings(self, settings: Vec<(String, String)>) -> Self {
        Self { settings, ..self }
    }

    /// Settings of the command line: keys and values.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Creates the directory and the folders in it. Nobody but their owner can write into them, whatever the process was
    /// told of new files: who can replace a certificate of the authority is trusted by everybody.
    ///
    /// # Errors
    /// The disk is full or read-only, a part of the path is no directory, others can write into a folder that is there.
    pub fn create(&self) -> Result<()> {
        folders::make(&self.root, folders::Readers::All)?;
        for (folder, readers) in FOLDERS {
            let path = self.root.join(folder);
            folders::make(&path, readers)?;
            folders::check(&path)?;
        }
        Ok(())
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The CA's certificate.
    pub fn ca_certificate(&self) -> PathBuf {
        self.root.join("certs/ca.crt")
    }

    /// The certificates of CAs that are trusted for what was signed in the past alone.
    pub fn retired_cas(&self) -> PathBuf {
        self.root.join("certs/ca.retired.crt")
    }

    /// What [`Layout::retired_cas`] holds; nothing if it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_retired_cas(&self) -> Result<String> {
        let path = self.retired_cas();
        if path.exists() { read_text(&path) } else { Ok(String::new()) }
    }

    /// The CA's private key.
    pub fn ca_key(&self) -> PathBuf {
        self.root.join("certs/ca.key")
    }

    /// The private key of the CA before, while its certificate is trusted still.
    pub fn previous_ca_key(&self) -> PathBuf {
        self.root.join("certs/ca.previous.key")
    }

    /// The certificate revocation list.
    pub fn crl(&self) -> PathBuf {
        self.root.join("certs/crl.pem")
    }

    /// What the revocation list on this machine names, if there is one that can be read.
    pub fn listed_as_revoked(&self, ca_pem: &str) -> RevokedSet {
        let list = std::fs::read_to_string(self.crl()).ok();
        list.and_then(|list| RevokedSet::from_lists(&list, ca_pem).ok()).unwrap_or_default()
    }

    /// The same under the authorities that this machine trusts, as far as there are any yet.
    pub fn revoked_at_start(&self) -> RevokedSet {
        let ca = std::fs::read_to_string(self.ca_certificate());
        ca.map(|ca| self.listed_as_revoked(&ca)).unwrap_or_default()
    }

    /// Where the audit log ended at last.
    pub fn audit_head(&self) -> PathBuf {
        self.root.join("secrets/audit.head")
    }

    /// The key that access tokens are signed with, if none is configured.
    pub fn jwt_key(&self) -> PathBuf {
        self.root.join("secrets/jwt.key")
    }

    /// The proxy's journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The proxy's other files.
    pub fn proxy(&self) -> PathBuf {
        self.root.join("proxy")
    }

    /// The lock of one role.
    pub fn lock(&self, role: &str) -> PathBuf {
        self.root.join("locks").join(format!("{role}.lock"))
    }

    /// The id that the main server of this directory has for good. It lies where nobody copies it from.
    pub fn server_id(&self) -> PathBuf {
        self.root.join("locks/main-server.id")
    }

    /// Holds a new text when processes are to read their settings again.
    pub fn reload_request(&self) -> PathBuf {
        self.root.join("locks/reload.request")
    }

    /// What the process of that id says of it.
    pub fn reload_answer(&self, pid: u32) -> PathBuf {
        self.root.join("locks").join(format!("reload-{pid}.json"))
    }

    /// What the holder of that lock says of itself.
    pub fn lock_holder(&self, role: &str) -> PathBuf {
        self.root.join("locks").join(format!("{role}.json"))
    }

    /// Certificate and key of a component.
    pub fn component(&self, name: &str) -> (PathBuf, PathBuf) {
        let certs = self.root.join("certs");
        (certs.join(format!("{name}.crt")), certs.join(format!("{name}.key")))
    }

    /// Where the certificate of `name` in `role` lies; its key lies beside it.
    pub fn certificate(&self, name: &str, role: Role) -> PathBuf {
        if role.has_domain() { self.client(name).join(format!("{name}.crt")) } else { self.component(name).0 }
    }

    /// The folder of a client or consumer.
    pub fn client(&self, name: &str) -> PathBuf {
        self.root.join("certs/clients").join(name)
    }

    /// Whether certificates that the CA issued lie here.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn holds_issued(&self) -> Result<bool> {
        let certs = self.root.join("certs");
        let list = |path: &Path| std::fs::read_dir(path).with_context(|| format!("read {}", path.display()));
        for entry in list(&certs)? {
            let path = entry.with_context(|| format!("read {}", certs.display()))?.path();
            if path.extension().is_some_and(|extension| extension == "crt")
                && path != self.ca_certificate()
                && path != self.retired_cas()
            {
                return Ok(true);
            }
        }
        Ok(list(&certs.join("clients"))?.next().is_some())
    }

    /// Writes a certificate and its key to where its role's files belong; returns the certificate's path.
    ///
    /// # Errors
    /// The name is kept for others ([`check_name`]), a file cannot be written.
    pub fn write(&self, pair: &KeyPair<'_>) -> Result<PathBuf> {
        check_name(pair.name, pair.role)?;
        let (certificate, key) = if pair.role.has_domain() {
            let folder = self.client(pair.name);
            folders::make(&folder, folders::Readers::All)?;
            let (ca, fingerprint) = (folder.join("ca.crt"), folder.join("fingerprint.txt"));
            mb_crypto::files::write_public(&ca, pair.ca_certificate.as_bytes()).context("write ca.crt")?;
            mb_crypto::files::write_public(&fingerprint, format!("{}\n", pair.fingerprint).as_bytes())
                .context("write fingerprint.txt")?;
            (folder.join(format!("{}.crt", pair.name)), folder.join(format!("{}.key", pair.name)))
        } else {
            self.component(pair.name)
        };
        mb_crypto::files::write_private(&key, pair.private_key.expose().as_bytes())
            .with_context(|| format!("write {}", key.display()))?;
        mb_crypto::files::write_public(&certificate, pair.certificate.as_bytes())
            .with_context(|| format!("write {}", certificate.display()))?;
        Ok(certificate)
    }
}

/// Refuses what can be no certificate or key, if anything is there: a pipe would be waited for, and none is so large.
///
/// # Errors
/// It is another kind of file, too large, or cannot be looked at.
pub fn check_file(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) => {
            anyhow::ensure!(found.is_file(), "{} is no file", path.display());
            anyhow::ensure!(found.len() <= LARGEST, "{} is larger than any certificate or key", path.display());
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
    }
}

/// Reads a text file, naming it in the error.
///
/// # Errors
/// It cannot be read.
pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// Reads a private key, which nobody else may be able to read.
///
/// # Errors
/// It cannot be read, or others can read it too.
pub fn read_secret(path: &Path) -> Result<Secret<String>> {
    mb_crypto::files::read_private(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(layout: &Layout, name: &str, role: Role) -> Result<PathBuf> {
        let private_key = &Secret::new("key".to_owned());
        layout.write(&KeyPair { name, role, certificate: "new", private_key, ca_certificate: "ca", fingerprint: "f" })
    }

    #[test]
    fn no_certificate_takes_the_files_of_the_ca_or_of_a_component() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let layout = Layout::new(dir.path());
        layout.create().expect("created");
        std::fs::write(layout.ca_certificate(), "own").expect("written");
        for role in Role::ALL {
            assert!(write(&layout, "ca", role).is_err(), "{role}");
            for component in COMPONENTS {
                assert_eq!(
                    write(&layout, component.as_str(), role).is_ok(),
                    component == role,
                    "{component} as {role}"
                );
            }
            assert!(write(&layout, &format!("a-{role}"), role).is_ok(), "{role}");
        }
        assert_eq!(read_text(&layout.ca_certificate()).expect("readable"), "own");
        assert!(!layout.client("ca").exists());
    }

    #[test]
    fn issued_certificates_are_found_wherever_they_lie() {
        for (name, role) in [("admin", Role::Admin), ("till-1", Role::Client), ("grafana", Role::Monitoring)] {
            let dir = tempfile::tempdir().expect("temporary folder");
            let layout = Layout::new(dir.path());
            layout.create().expect("created");
            std::fs::write(layout.ca_certificate(), "own").expect("written");
            assert!(!layout.holds_issued().expect("readable"));
            write(&layout, name, role).expect("written");
            assert!(layout.holds_issued().expect("readable"), "{name}");
        }
    }
}

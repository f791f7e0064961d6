//! Who may read what on Windows: access lists, set and read by the system's own `icacls`, as the guide does it by hand.
//!
//! Administrators and the system may do everything, a service's account what its component needs. `secrets` and
//! `certs\ca.key` are the main server's alone. What cannot be set is told and stops nothing: `doctor` looks again.

#[cfg(any(windows, test))]
mod sddl;

#[cfg(windows)]
pub(crate) use windows::{close_secrets, exposure, harden, refuse_exposed};

#[cfg(windows)]
mod windows {
    use std::path::Path;
    use std::process::Command;

    use anyhow::{Result, bail};

    use super::sddl;
    use crate::layout::Layout;
    use crate::output;
    use crate::service::{Part, Plan};

    /// By their numbers: their names are another in every language.
    const ADMINISTRATORS: &str = "*S-1-5-32-544";
    const SYSTEM: &str = "*S-1-5-18";

    /// Closes program and data to all but administrators, the system and these accounts.
    pub(crate) fn harden(plan: &Plan, accounts: &[(Part, String)]) {
        let root = &plan.data_dir;
        let all = |right: &'static str| {
            accounts.iter().map(move |(_, account)| (account.as_str(), right)).collect::<Vec<_>>()
        };
        close(root, &all("(OI)(CI)M"), true);
        let program = plan.program.parent().filter(|folder| *folder != root.as_path() && folder.starts_with(root));
        if let Some(folder) = program {
            close(folder, &all("(OI)(CI)RX"), true);
        }
        if let Some((part, _)) = accounts.iter().find(|(part, _)| matches!(part, Part::MainServer | Part::Up)) {
            close_secrets(root, *part);
        } else {
            close_to_all(root);
        }
    }

    /// Leaves secrets and the authority's key to the main server's account.
    pub(crate) fn close_secrets(root: &Path, part: Part) {
        let account = crate::service::scm::account_of(part);
        let keep = account.as_deref().map(|account| [(account, "(OI)(CI)M")]);
        close(&root.join("secrets"), keep.as_ref().map_or(&[], |keep| keep.as_slice()), true);
        let keep = account.as_deref().map(|account| [(account, "M")]);
        for key in ["certs/ca.key", "certs/ca.previous.key"] {
            close(&root.join(key), keep.as_ref().map_or(&[], |keep| keep.as_slice()), false);
        }
    }

    /// On a machine without a main server nobody but administrators needs them.
    fn close_to_all(root: &Path) {
        close(&root.join("secrets"), &[], true);
        close(&root.join("certs/ca.key"), &[], false);
    }

    fn close(path: &Path, keep: &[(&str, &str)], folder: bool) {
        if !path.exists() {
            return;
        }
        let full = if folder { "(OI)(CI)F" } else { "F" };
        let mut command = Command::new("icacls.exe");
        command.arg(path).args(["/inheritance:r", "/grant:r"]);
        command.args([format!("{ADMINISTRATORS}:{full}"), format!("{SYSTEM}:{full}")]);
        command.args(keep.iter().map(|(account, right)| format!("{account}:{right}"))).arg("/Q");
        match command.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                output::note(&format!("{}: access list not set: {said}", path.display()));
            }
            Err(error) => output::note(&format!("{}: access list not set: {error}", path.display())),
        }
    }

    /// Who else than administrators, the system and accounts of services can read a file, in the words of its access list.
    /// `None` if nobody, or if it cannot be told.
    pub(crate) fn exposure(path: &Path) -> Option<String> {
        let list = tempfile::NamedTempFile::new().ok()?.into_temp_path();
        let saved = Command::new("icacls.exe").arg(path).arg("/save").arg(&list).arg("/Q").output().ok()?;
        let bytes = saved.status.success().then(|| std::fs::read(&list).ok()).flatten()?;
        let units: Vec<_> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let strangers = sddl::strangers(&String::from_utf16_lossy(&units));
        (!strangers.is_empty()).then(|| strangers.join(", "))
    }

    /// Refuses keys that others can read (contract, section 7).
    ///
    /// # Errors
    /// Names the first such key.
    pub(crate) fn refuse_exposed(layout: &Layout) -> Result<()> {
        let root = layout.root();
        for key in [layout.ca_key(), root.join("secrets/encryption.key"), layout.jwt_key()] {
            if let Some(who) = key.exists().then(|| exposure(&key)).flatten() {
                bail!("{} can be read by {who}: run `message-broker service repair`", key.display());
            }
        }
        Ok(())
    }
}

//! The installer's description, as `wixl` reads it (`WiX` 3, as far as `wixl` knows it).
//!
//! It lays files out and no services: those take settings first (`deployment\services\install_all_services.ps1`). Removing it
//! stops and removes the services; what the system has written stays. A newer version removes the older one first, which stops
//! the services and must leave them: their accounts and passwords are not the installer's to make again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;

/// Names this product among all versions of it; never changed.
const UPGRADE_CODE: &str = "7d0c6a52-6d2f-4f35-9b1f-6a3a6f0e8c11";
/// The services that `message-broker service install` makes, those that others wait for last.
const SERVICES: [&str; 5] =
    ["MessageBrokerPortal", "MessageBrokerWorker", "MessageBrokerProxy", "MessageBrokerMainServer", "MessageBroker"];

/// A folder of the installation.
#[derive(Debug, Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: Vec<PathBuf>,
}

/// The description for these files, by their paths below `stage`; it stands beside that folder.
pub(super) fn description(stage: &Path, files: &[PathBuf]) -> anyhow::Result<String> {
    let mut root = Folder::default();
    for file in files {
        let mut folder = &mut root;
        for part in file.parent().into_iter().flat_map(Path::components) {
            if let Component::Normal(name) = part {
                folder = folder.folders.entry(name.to_string_lossy().into_owned()).or_default();
            }
        }
        folder.files.push(file.clone());
    }
    // wixl takes paths from where it is run.
    let stage = Path::new(stage.file_name().context("the folder has a name")?);
    let mut body = String::new();
    let mut count = 0;
    write_folder(&root, stage, 8, &mut count, &mut body)?;
    let mut text = String::new();
    let version = env!("CARGO_PKG_VERSION");
    writeln!(text, "<?xml version=\"1.0\" encoding=\"utf-8\"?>")?;
    writeln!(text, "<Wix xmlns=\"http://schemas.microsoft.com/wix/2006/wi\">")?;
    writeln!(
        text,
        "  <Product Id=\"*\" Name=\"Message Broker\" Language=\"1033\" Version=\"{version}\" Manufacturer=\"Message Broker\" \
         UpgradeCode=\"{UPGRADE_CODE}\">"
    )?;
    writeln!(text, "    <Package InstallerVersion=\"500\" Compressed=\"yes\" InstallScope=\"perMachine\"/>")?;
    writeln!(text, "    <MajorUpgrade DowngradeErrorMessage=\"A newer version is installed.\"/>")?;
    writeln!(text, "    <Media Id=\"1\" Cabinet=\"files.cab\" EmbedCab=\"yes\"/>")?;
    // Of the system's drive, whatever its letter is; the guide's application root.
    writeln!(text, "    <Directory Id=\"TARGETDIR\" Name=\"SourceDir\">")?;
    writeln!(text, "      <Directory Id=\"WindowsVolume\"><Directory Id=\"APPROOT\" Name=\"MessageBroker\">")?;
    text.push_str(&body);
    write_upkeep(&mut text)?;
    writeln!(text, "      </Directory></Directory>\n    </Directory>")?;
    writeln!(text, "    <Feature Id=\"Everything\" Level=\"1\">")?;
    writeln!(text, "      <ComponentRef Id=\"upkeep\"/>")?;
    for number in 1..=count {
        writeln!(text, "      <ComponentRef Id=\"c{number}\"/>")?;
    }
    writeln!(text, "    </Feature>\n    <InstallExecuteSequence>")?;
    writeln!(text, "      <DeleteServices>NOT UPGRADINGPRODUCTCODE</DeleteServices>")?;
    writeln!(text, "    </InstallExecuteSequence>\n  </Product>\n</Wix>")?;
    Ok(text)
}

/// The services, which end with the installation.
fn write_upkeep(text: &mut String) -> std::fmt::Result {
    writeln!(text, "        <Component Id=\"upkeep\" Guid=\"2f6a1f0e-52a9-4f0c-8c3e-0e1d3b0a7f55\" Win64=\"yes\">")?;
    writeln!(text, "          <CreateFolder/>")?;
    for service in SERVICES {
        writeln!(
            text,
            "          <ServiceControl Id=\"{service}\" Name=\"{service}\" Stop=\"uninstall\" Remove=\"uninstall\" Wait=\"yes\"/>"
        )?;
    }
    writeln!(text, "        </Component>")
}

fn write_folder(
    folder: &Folder,
    stage: &Path,
    indent: usize,
    count: &mut usize,
    out: &mut String,
) -> anyhow::Result<()> {
    let space = " ".repeat(indent);
    for file in &folder.files {
        *count += 1;
        let name = file.file_name().context("a file has a name")?.to_string_lossy();
        writeln!(out, "{space}<Component Id=\"c{count}\" Guid=\"*\" Win64=\"yes\">")?;
        let source = escaped(&stage.join(file).display().to_string());
        writeln!(
            out,
            "{space}  <File Id=\"f{count}\" Name=\"{}\" Source=\"{source}\" KeyPath=\"yes\"/>",
            escaped(&name)
        )?;
        writeln!(out, "{space}</Component>")?;
    }
    for (name, below) in &folder.folders {
        // Numbered by the files before it, and by its place, so that each is unique.
        writeln!(out, "{space}<Directory Id=\"d{count}_{}\" Name=\"{}\">", identifier(name), escaped(name))?;
        write_folder(below, stage, indent + 2, count, out)?;
        writeln!(out, "{space}</Directory>")?;
    }
    Ok(())
}

fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_component_in_its_own_folder() {
        let files = ["bin/message-broker.exe", "docs/a&b.md", "docs/adr/1.md"].map(PathBuf::from);
        let text = description(Path::new("/stage"), &files).expect("described");
        for part in [
            "<Directory Id=\"d0_bin\" Name=\"bin\">",
            "Source=\"stage/docs/a&amp;b.md\"",
            "<Directory Id=\"d2_adr\" Name=\"adr\">",
            "<ComponentRef Id=\"c3\"/>",
            "Name=\"MessageBrokerProxy\" Stop=\"uninstall\" Remove=\"uninstall\"",
            "<DeleteServices>NOT UPGRADINGPRODUCTCODE</DeleteServices>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

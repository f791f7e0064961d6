//! `cargo xtask dist`: what is handed out. An installer and an archive for Windows, a package for Debian, a file to build a
//! container from, and the checksums of all.
//!
//! Everything is laid out once as the deployment guide has it and packed from there. What cannot be made on this machine is
//! left out, loudly: the rest is whole.

mod msi;
mod stage;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{self, cargo};
use crate::report::{Outcome, Report};
use crate::{suite, windows};

/// Where it lies, below the repository's root.
const FOLDER: &str = "target/dist";
/// The profile of cargo's that is for it. Not of the folder's name: cargo builds a profile in the folder below `target/` that is
/// called after it.
const PROFILE: &str = "handout";
/// The release series of cargo-deb that the package's description is written for.
const CARGO_DEB: &str = "^3.8";

/// Makes all of it.
///
/// # Errors
/// A program cannot be started, a file cannot be written.
pub(crate) fn run() -> anyhow::Result<Report> {
    let mut report = Report::new(false);
    let folder = command::root().join(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("remove what was made before")?;
    }
    std::fs::create_dir_all(&folder).context("create target/dist")?;
    let mut linux = None;
    report.step("program for Linux", || {
        let built =
            command::succeeds(&mut cargo(&["build", "--locked", "--package", "message-broker", "--profile", PROFILE]))?;
        linux = built.then(|| command::root().join("target").join(PROFILE).join("message-broker"));
        Ok(if built { Outcome::Passed } else { Outcome::Failed })
    })?;
    report.step("Debian package", || deb(&folder))?;
    if let Some(program) = &linux {
        report.step("container file", || container(&folder, program))?;
    }
    report.step("Windows", || match suite::prepare_windows() {
        Some(why) => Ok(Outcome::Skipped(why)),
        None => for_windows(&folder, &windows::build(PROFILE)?),
    })?;
    report.step("checksums", || checksums(&folder))?;
    println!("\nmade in {FOLDER}");
    Ok(report)
}

/// Archive and installer around this program, in `folder`.
///
/// # Errors
/// A program cannot be started, a file cannot be written.
pub(crate) fn for_windows(folder: &Path, program: &Path) -> anyhow::Result<Outcome> {
    let stage = folder.join("stage").join("MessageBroker");
    let files = stage::lay_out(&stage, program)?;
    let name = |extension: &str| format!("message-broker-{}-windows-x86_64.{extension}", env!("CARGO_PKG_VERSION"));
    let mut zip = Command::new("zip");
    zip.args(["--quiet", "--recurse-paths", "-X"]).arg(folder.join(name("zip"))).arg("MessageBroker");
    zip.current_dir(folder.join("stage"));
    let zipped = command::succeeds(&mut zip)?;
    let description = folder.join("stage").join("message-broker.wxs");
    std::fs::write(&description, msi::description(&stage, &files)?).context("write the installer's description")?;
    let mut wixl = Command::new("wixl");
    wixl.args(["--arch", "x64", "--output"]).arg(folder.join(name("msi"))).arg("message-broker.wxs");
    wixl.current_dir(folder.join("stage"));
    let packed = command::succeeds(&mut wixl)?;
    std::fs::remove_dir_all(folder.join("stage")).context("remove what was laid out")?;
    Ok(if zipped && packed { Outcome::Passed } else { Outcome::Failed })
}

fn deb(folder: &Path) -> anyhow::Result<Outcome> {
    if !command::succeeds(&mut cargo(&["deb", "--version"])).unwrap_or(false) {
        println!("installing cargo-deb from crates.io, once; it takes some minutes");
        if !command::succeeds(&mut cargo(&["install", "cargo-deb", "--locked", "--version", CARGO_DEB]))? {
            return Ok(Outcome::Skipped("cargo-deb could not be installed".to_owned()));
        }
    }
    let mut pack = cargo(&["deb", "--package", "message-broker", "--no-build", "--profile", PROFILE, "--output"]);
    Ok(if command::succeeds(pack.arg(folder))? { Outcome::Passed } else { Outcome::Failed })
}

/// The file and the program that it puts in, as one folder in which an image is built.
fn container(folder: &Path, program: &Path) -> anyhow::Result<Outcome> {
    let folder = folder.join("container");
    std::fs::create_dir_all(&folder).context("create the container's folder")?;
    let file = command::root().join("packaging/docker/Containerfile");
    std::fs::copy(file, folder.join("Containerfile")).context("copy the Containerfile")?;
    std::fs::copy(program, folder.join("message-broker")).context("copy the program")?;
    Ok(Outcome::Passed)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn checksums(folder: &Path) -> anyhow::Result<Outcome> {
    let files: Vec<PathBuf> = stage::files_below(folder)?;
    let names = files.iter().filter_map(|file| file.strip_prefix(folder).ok());
    let output = Command::new("sha256sum").args(names).current_dir(folder).output().context("run sha256sum")?;
    if !output.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::write(folder.join("SHA256SUMS"), &output.stdout).context("write SHA256SUMS")?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_builds_does_not_lie_among_what_is_handed_out() {
        assert_ne!(FOLDER, format!("target/{PROFILE}"));
        let manifest = std::fs::read_to_string(command::root().join("Cargo.toml")).expect("readable");
        assert!(manifest.contains(&format!("[profile.{PROFILE}]")));
    }
}

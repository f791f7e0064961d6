//! The folder that is laid out on Windows: the guide's application root.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::command;

/// Folders and files of the repository that lie there under the same names.
const COPIED: [&str; 6] =
    ["deployment", "monitoring", "docs", "packaging/windows/README.md", "SECURITY.md", "CHANGELOG.md"];
/// What is of Linux alone.
const LEFT_OUT: [&str; 1] = ["sh"];

/// Lays everything out in `folder`; the files, by their paths below it.
///
/// # Errors
/// A file cannot be copied.
pub(super) fn lay_out(folder: &Path, program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let place = folder.join("bin/message-broker.exe");
    copy(program, &place)?;
    for name in COPIED {
        let from = command::root().join(name);
        for file in files_below(&from)? {
            let is_left_out = file.extension().is_some_and(|extension| LEFT_OUT.iter().any(|left| extension == *left));
            if !is_left_out {
                let below = file.strip_prefix(command::root()).context("a file of the repository")?;
                copy(&file, &folder.join(below))?;
            }
        }
    }
    let files = files_below(folder)?;
    files.iter().map(|file| Ok(file.strip_prefix(folder).context("a file that was laid out")?.to_owned())).collect()
}

/// Every file at or below `path`, sorted.
///
/// # Errors
/// A folder cannot be read.
pub(super) fn files_below(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
        files.extend(files_below(&entry.context("read a folder")?.path())?);
    }
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    std::fs::copy(from, to).with_context(|| format!("copy {}", from.display())).map(drop)
}

//! The files of the repository as a checkout has them: no build results, no data directory, nothing of git itself.

use std::fs;
use std::path::{Path, PathBuf};

const LEFT_OUT: [&str; 3] = ["target", "data", ".git"];

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands below the root")
}

/// A text file of the repository.
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl File {
    /// Whether it lies in this folder.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// A source file up to its tests, which may name what the code must not do.
    pub(crate) fn without_tests(mut self) -> Self {
        let end = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text.truncate(if self.path.ends_with("/tests.rs") { 0 } else { end });
        self
    }
}

/// Every file with one of these extensions, in a stable order.
pub(crate) fn files(extensions: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    collect(root(), &mut paths);
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)));
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
    let path = path.strip_prefix(root()).expect("found below the root");
    let path = path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
    File { path, text }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("list {}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("readable folder");
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type().expect("a file has a type").is_dir() {
            collect(&entry.path(), into);
        } else {
            into.push(entry.path());
        }
    }
}

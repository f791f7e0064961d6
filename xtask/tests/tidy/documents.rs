//! What the documents promise: that links lead somewhere, that named files exist, and that a newcomer finds the two
//! commands first.

use std::path::{Path, PathBuf};

use crate::assert_none;
use crate::tree::{File, files, root};

/// What a newcomer needs, in this order.
const FIRST_COMMANDS: [&str; 2] = ["cargo run --release -- up", "cargo xtask test"];

fn document(name: &str) -> File {
    files(&["md"]).into_iter().find(|file| file.path == name).unwrap_or_else(|| panic!("{name} is missing"))
}

/// The text outside fenced blocks.
fn prose(text: &str) -> String {
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The inline code of a text.
fn code_spans(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The targets of a text's inline links.
fn links(text: &str) -> Vec<String> {
    let targets = |part: &str| part.split_once(')').map(|(target, _)| target.trim().to_owned());
    prose(text).split("](").skip(1).filter_map(targets).collect()
}

/// The anchors that a document's headings give, as the common renderers make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>())
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = document("README.md");
    let (before, block) = readme.text.split_once("\n```").expect("README.md has a block of commands");
    assert!(!before.contains("\n## "), "the commands stand before the first section");
    assert!(before.lines().count() <= 8, "the commands stand at the top");
    let (block, _) = block.split_once("\n```").expect("the block ends");
    let commands = block.lines().skip(1).map(|line| line.split('#').next().unwrap_or_default().trim());
    assert_eq!(commands.collect::<Vec<_>>(), FIRST_COMMANDS);
}

#[test]
fn links_lead_somewhere() {
    let mut violations = Vec::new();
    for file in files(&["md"]) {
        let folder = root().join(&file.path).parent().map(Path::to_path_buf).unwrap_or_default();
        for link in links(&file.text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&file.path) } else { folder.join(path) };
            if !target.exists() {
                violations.push(format!("{}: {link} does not exist", file.path));
            } else if !anchor.is_empty() && !has_anchor(&target, anchor) {
                violations.push(format!("{}: {link} has no such heading", file.path));
            }
        }
    }
    assert_none(&violations, "mend these links");
}

fn has_anchor(target: &PathBuf, anchor: &str) -> bool {
    std::fs::read_to_string(target).is_ok_and(|text| anchors(&text).iter().any(|heading| heading == anchor))
}

#[test]
fn named_files_exist() {
    let mut violations = Vec::new();
    for file in files(&["md"]) {
        let is_source = |span: &str| Path::new(span).extension().is_some_and(|extension| extension == "rs");
        let named = |span: &String| span.contains('/') && is_source(span) && !span.contains([' ', '*', '<']);
        for span in code_spans(&file.text).into_iter().filter(named) {
            if !root().join(&span).exists() && !root().join("crates").join(&span).exists() {
                violations.push(format!("{}: {span}", file.path));
            }
        }
    }
    assert_none(&violations, "these files are named and do not exist");
}

#[test]
fn the_architecture_knows_every_crate() {
    let map = document("ARCHITECTURE.md").text;
    let manifests = files(&["toml"]).into_iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        folder.rsplit('/').next().map(str::to_owned)
    });
    let unknown = manifests.filter(|name| !map.contains(&format!("`{name}`"))).collect::<Vec<_>>();
    assert_none(&unknown, "say in ARCHITECTURE.md what these crates own");
}

#[test]
fn the_changelog_says_what_is_new_in_this_version() {
    let changelog = document("CHANGELOG.md").text;
    let version = format!("## {}", env!("CARGO_PKG_VERSION"));
    assert!(changelog.lines().any(|line| line.starts_with(&version)), "CHANGELOG.md has no section {version}");
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let decisions = files(&["md"]).into_iter().filter(|file| file.is_in("docs/adr"));
    let numbers = decisions.map(|file| file.path["docs/adr/".len()..].chars().take(4).collect::<String>());
    let numbers = numbers.collect::<Vec<_>>();
    let expected = (1..=numbers.len()).map(|number| format!("{number:04}")).collect::<Vec<_>>();
    assert_eq!(numbers, expected);
}

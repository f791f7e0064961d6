//! What every source file keeps to. The words searched for are put together from pieces here, so that this file is held
//! to its own rules.

use crate::assert_none;
use crate::tree::{File, files};

/// Past this a file has more than one subject.
const MAX_LINES: usize = 400;

/// Never in a source file, with what to do instead.
const FORBIDDEN: [(&str, &str); 10] = [
    (concat!("todo", "!("), "finish it, or leave it out"),
    (concat!("unimplemented", "!("), "finish it, or leave it out"),
    (concat!("dbg", "!("), "log it, or leave it out"),
    (concat!("#[", "ignore"), "a test runs or goes"),
    (concat!("#[", "allow("), "use #[expect(.., reason = \"..\")]"),
    (concat!("#![", "allow("), "use #![expect(.., reason = \"..\")]"),
    (concat!("FIX", "ME"), "mend it, or open an issue"),
    (concat!("XX", "X"), "mend it, or open an issue"),
    (concat!("unsafe", " {"), "the workspace forbids it"),
    (concat!("unsafe", " impl"), "the workspace forbids it"),
];

/// SQL outside the store.
const SQL: [&str; 8] = [
    concat!("SELECT", " "),
    concat!("INSERT", " INTO"),
    concat!("INSERT", " OR"),
    concat!("DELETE", " FROM"),
    concat!("CREATE", " TABLE"),
    concat!("ALTER", " TABLE"),
    concat!("ORDER", " BY"),
    concat!("PRAGMA", " "),
];

/// Writing past the log.
const PRINTS: [&str; 4] =
    [concat!("println", "!("), concat!("eprintln", "!("), concat!(" print", "!("), concat!("eprint", "!(")];

/// Names that say nothing about what a file owns.
const EMPTY_NAMES: [&str; 6] = ["utils.rs", "util.rs", "helpers.rs", "helper.rs", "common.rs", "manager.rs"];

fn matches(file: &File, words: &[&str]) -> Vec<String> {
    let hit = |line: &str| words.iter().copied().find(|word| line.contains(word));
    let lines = file.text.lines().enumerate();
    lines.filter_map(|(index, line)| hit(line).map(|word| format!("{}:{}: {word}", file.path, index + 1))).collect()
}

#[test]
fn files_are_short() {
    let long = files(&["rs"]).into_iter().map(|file| (file.text.lines().count(), file.path));
    let long = long.filter(|(lines, _)| *lines > MAX_LINES).map(|(lines, path)| format!("{path}: {lines} lines"));
    assert_none(&long.collect::<Vec<_>>(), "split by meaning what is longer than 400 lines");
}

#[test]
fn every_file_says_what_it_owns() {
    let says = |file: &File| file.text.strip_prefix("//! ").is_some_and(|doc| !doc.starts_with("placeholder"));
    let silent = files(&["rs"]).into_iter().filter(|file| !says(file));
    assert_none(&silent.map(|file| file.path).collect::<Vec<_>>(), "begin the file with its module documentation");
}

#[test]
fn files_are_named_after_what_they_own() {
    let named = |file: &File| file.path.rsplit('/').next().is_some_and(|name| EMPTY_NAMES.contains(&name));
    let vague = files(&["rs"]).into_iter().filter(named).map(|file| file.path);
    assert_none(&vague.collect::<Vec<_>>(), "name the file after what it owns");
}

#[test]
fn nothing_is_left_unfinished_or_silenced() {
    let mut violations = Vec::new();
    for file in files(&["rs"]) {
        for (word, instead) in FORBIDDEN {
            violations.extend(matches(&file, &[word]).into_iter().map(|hit| format!("{hit}: {instead}")));
        }
    }
    assert_none(&violations, "these do not belong into a source file");
}

#[test]
fn sql_stands_in_the_store_alone() {
    // Tests may look into a database, and tamper with it.
    let elsewhere = |file: &File| !file.is_in("crates/mb-store") && !file.path.contains("/tests/");
    let violations =
        files(&["rs"]).into_iter().filter(elsewhere).map(File::without_tests).flat_map(|file| matches(&file, &SQL));
    assert_none(&violations.collect::<Vec<_>>(), "move the statement into mb-store, beside the function that runs it");
}

#[test]
fn libraries_do_not_print() {
    let library =
        |file: &File| file.path.contains("/src/") && file.is_in("crates") && !file.is_in("crates/message-broker");
    let violations =
        files(&["rs"]).into_iter().filter(library).map(File::without_tests).flat_map(|file| matches(&file, &PRINTS));
    assert_none(&violations.collect::<Vec<_>>(), "log it, or return it to the command that prints");
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Use", "rs/"), concat!("/wo", "rk/")];
    let begins_there = |line: &str, home: &str| {
        line.match_indices(home)
            .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.'))
    };
    let mut violations = Vec::new();
    for file in files(&["rs", "md", "toml", "sh", "yml", "yaml", "json"]) {
        for (index, line) in file.text.lines().enumerate() {
            if homes.iter().any(|home| begins_there(line, home)) {
                violations.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    assert_none(&violations, "name no path of one machine");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = files(&["toml"]).into_iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let free = manifests.filter(|file| !file.text.contains("[lints]\nworkspace = true"));
    assert_none(&free.map(|file| file.path).collect::<Vec<_>>(), "add `[lints] workspace = true`");
}

//! In a file.

use std::path::Path;
use std::process::Command;

use super::{Installation, RAISE};

fn sql(database: &Path, statement: &str) {
    let status = Command::new("sqlite3").arg(database).arg(statement).status();
    assert!(status.expect("sqlite3 runs").success());
}

#[test]
fn a_newer_schema_in_a_file_is_refused_and_left_alone() {
    let installation = Installation::found(&[]);
    let database = installation.dir().join("message-broker.db");
    // The file itself is among what is compared.
    installation.assert_newer_is_refused(|| sql(&database, RAISE), String::new);
}

#[test]
fn a_backup_of_a_newer_program_is_refused_before_the_database_is_emptied() {
    // Its manifest is in clear, and read first.
    let installation = Installation::found(&[]);
    let backup = installation.run_ok(&["backup", "create"]);
    let manifest = Path::new(&backup).join("manifest.json");
    let text = std::fs::read_to_string(&manifest).expect("readable");
    let schema = format!("\"schema\": {}", super::newest_known());
    assert!(text.contains(&schema), "{text}");
    std::fs::write(&manifest, text.replace(&schema, "\"schema\": 9999")).expect("written");
    let before = installation.contents();
    let refused = |args: &[&str]| {
        let output = installation.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("schema is 9999") && said.contains("use the newer program"), "{said}");
    };
    refused(&["backup", "restore", &backup, "--yes"]);
    assert!(installation.contents() == before, "the restore has changed something");
    refused(&["backup", "verify", &backup]);
}

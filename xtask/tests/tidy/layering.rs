//! The table of which crate may import which. A crate exists only to make an import impossible, so the table is exact:
//! a crate without a row, or a row without a crate, is a violation as well.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::assert_none;
use crate::tree::root;

/// Each crate with the crates of this workspace that it may import. Nothing may import `message-broker`.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("mb-core", &[]),
    ("mb-crypto", &["mb-core"]),
    ("mb-queue", &["mb-core"]),
    ("mb-store", &["mb-core"]),
    ("mb-api", &["mb-core"]),
    ("mb-runtime", &["mb-core", "mb-api", "mb-crypto"]),
    ("mb-portal", &["mb-core", "mb-api", "mb-runtime"]),
    ("mb-proxy", &["mb-core", "mb-api", "mb-crypto", "mb-queue", "mb-runtime"]),
    ("mb-worker", &["mb-core", "mb-api", "mb-crypto", "mb-queue", "mb-runtime"]),
    ("mb-server", &["mb-core", "mb-api", "mb-crypto", "mb-store", "mb-runtime"]),
    (
        "message-broker",
        &[
            "mb-core",
            "mb-crypto",
            "mb-queue",
            "mb-store",
            "mb-api",
            "mb-runtime",
            "mb-portal",
            "mb-proxy",
            "mb-worker",
            "mb-server",
        ],
    ),
    ("xtask", &[]),
];

/// Foreign crates with the only crates that may build on them.
const FENCED: [(&str, &[&str]); 3] = [("sqlx", &["mb-store"]), ("rcgen", &["mb-crypto"]), ("argon2", &["mb-crypto"])];

/// What would bring I/O into the pure rules.
const NOT_IN_CORE: [&str; 4] = ["tokio", "axum", "hyper", "tracing"];

struct Package {
    name: String,
    /// Name and whether it is needed to build the package itself, not only its tests.
    dependencies: Vec<(String, bool)>,
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let list = |value: &Value| value.as_array().expect("cargo metadata has this list").clone();
    let text = |value: &Value| value.as_str().expect("cargo metadata has this text").to_owned();
    let dependency = |value: &Value| (text(&value["name"]), value["kind"] != "dev");
    let package = |value: &Value| Package {
        name: text(&value["name"]),
        dependencies: list(&value["dependencies"]).iter().map(dependency).collect(),
    };
    list(&metadata["packages"]).iter().map(package).collect()
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let packages = packages();
    let table = BTreeMap::from(MAY_IMPORT);
    let ours = packages.iter().map(|package| package.name.as_str()).collect::<BTreeSet<_>>();
    let mut violations = Vec::new();
    for name in ours.iter().filter(|name| !table.contains_key(*name)) {
        violations.push(format!("{name} has no row in the table"));
    }
    for name in table.keys().filter(|name| !ours.contains(*name)) {
        violations.push(format!("{name} has a row and does not exist"));
    }
    for package in &packages {
        let allowed = table.get(package.name.as_str()).copied().unwrap_or_default();
        let imported = package.dependencies.iter().map(|(name, _)| name.as_str()).filter(|name| ours.contains(name));
        for import in imported.filter(|import| !allowed.contains(import) && *import != package.name) {
            violations.push(format!("{} imports {import}", package.name));
        }
    }
    assert_none(&violations, "move the code to the crate that may do this, or say in the table why it may");
}

#[test]
fn heavy_dependencies_stay_behind_their_fence() {
    let mut violations = Vec::new();
    for package in packages() {
        for (name, _) in package.dependencies.iter().filter(|(_, builds)| *builds) {
            let fence = FENCED.iter().find(|(fenced, _)| fenced == name);
            if fence.is_some_and(|(_, owners)| !owners.contains(&package.name.as_str())) {
                violations.push(format!("{} builds on {name}", package.name));
            }
            if package.name == "mb-core" && NOT_IN_CORE.contains(&name.as_str()) {
                violations.push(format!("mb-core does no I/O and yet builds on {name}"));
            }
        }
    }
    assert_none(&violations, "use the crate that owns the dependency instead");
}

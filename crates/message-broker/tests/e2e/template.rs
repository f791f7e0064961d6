//! The `.env` template of a production installation, as it is shipped.

use std::path::Path;

use crate::harness::command;

#[test]
fn with_the_samples_of_the_template_nothing_starts_and_each_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deployment/config/.env.template");
    std::fs::copy(template, dir.path().join(".env")).expect("copied");
    let run = |arguments: &[&str]| command(dir.path(), &[]).args(arguments).output().expect("the binary runs");
    let check = run(&["config", "check"]);
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(check.status.success() && !said.contains("not known"), "every name is known: {said}");
    for role in ["main-server", "proxy", "worker", "portal"] {
        let started = run(&[role]);
        let said = String::from_utf8_lossy(&started.stderr).into_owned();
        assert!(!started.status.success(), "{role}");
        for secret in ["JWT_SECRET", "REDIS_PASSWORD", "DATABASE_URL"] {
            // Who signs no tokens needs no secret for them.
            let is_needed = secret != "JWT_SECRET" || role == "main-server";
            assert!(!is_needed || said.contains(secret), "{role} names {secret}: {said}");
        }
        assert!(said.contains("ENVIRONMENT=production refuses weak secrets"), "{said}");
    }
}

//! What an older program does on a database that a newer one has migrated: nothing, and it says why. Two of one version
//! that start at once on an empty one agree who migrates it.

mod needs_mariadbd;
mod needs_sqlite3;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::harness::{Ports, command, files};

/// A migration of a program that is not written yet.
const RAISE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                     VALUES (9999, 'future', 1, x'00', 0)";

/// Every way to open the database, but for a restore.
const COMMANDS: [&[&str]; 14] = [
    &["up"],
    &["main-server"],
    &["migrate"],
    &["migrate", "--status"],
    &["backup", "create"],
    &["backup", "list"],
    &["admin", "users", "list"],
    &["admin", "audit", "verify"],
    &["admin", "store", "new-epoch"],
    &["ca", "list"],
    &["ca", "issue", "till-1"],
    &["keys", "rotate"],
    &["retention", "run"],
    &["retention", "show"],
];

/// A data directory whose main server does not run.
struct Installation {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Installation {
    fn found(settings: &[(&str, &str)]) -> Self {
        let own = [("MB_BACKUP__PASSPHRASE", "Unspoken correct horse")];
        let settings = own.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = Ports::spare().environment().into_iter().chain(settings).collect();
        let installation = Self { dir: TempDir::new().expect("temporary folder"), environment };
        installation.run_ok(&["ca", "init"]);
        installation
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        command(self.dir(), &self.environment).args(args).output().expect("the binary runs")
    }

    fn run_ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Everything in it but for who was here and what was said of it.
    fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let stays = |path: &PathBuf| !["locks", "logs"].iter().any(|folder| path.starts_with(self.dir().join(folder)));
        let read = |path: PathBuf| (path.clone(), std::fs::read(path).expect("readable"));
        files(self.dir()).into_iter().filter(stays).map(read).collect()
    }

    /// Raises the schema by hand and lets every command find it. Whatever `database` tells of the database, besides its
    /// files, stays as it was.
    fn assert_newer_is_refused(&self, raise: impl Fn(), database: impl Fn() -> String) {
        let backup = self.run_ok(&["backup", "create"]);
        raise();
        let before = (self.contents(), database());
        let restore = ["backup", "restore", &backup, "--yes"];
        let known = newest_known();
        for args in COMMANDS.into_iter().chain([&restore[..]]) {
            let output = self.run(args);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            let last = said.lines().last().unwrap_or_default();
            let told =
                ["schema is 9999", env!("CARGO_PKG_VERSION"), &format!("knows {known}"), "use the newer program"];
            assert!(told.iter().all(|words| last.contains(words)), "{args:?}: {said}");
            assert!((self.contents(), database()) == before, "{args:?} has changed something");
        }
        let doctor = String::from_utf8(self.run(&["doctor"]).stdout).expect("text");
        assert!(doctor.contains("schema is 9999") && doctor.contains("put the newer program here"), "{doctor}");
        assert!((self.contents(), database()) == before, "doctor has changed something");
    }
}

/// The newest migration of this program.
fn newest_known() -> u32 {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../mb-store/migrations/sqlite");
    let names = std::fs::read_dir(here).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.filter_map(|name| name.to_str()?.split_once('_')?.0.parse().ok()).max().expect("there are migrations")
}

//! Backups of a store and a data directory, without a main server around them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mb_core::{ClientName, Clock, DomainName, Timestamp};
use mb_crypto::backup_key::BackupKey;
use mb_crypto::files as disk;
use mb_crypto::master::MasterKeys;
use mb_store::Store;
use tokio_util::sync::CancellationToken;

use super::folder::{self, Listed};
use super::{BackupConfig, BackupError, Checked, Progress, create, placing, verify};

const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

struct Place {
    config: Arc<BackupConfig>,
    store: Store,
    clock: Clock,
    directory: tempfile::TempDir,
}

/// Opens at once; what a passphrase opens takes a second.
const KEY: &str = "AGE-SECRET-KEY-1QYPQXPQ9QCRSSZG2PVXQ6RS0ZQG3YYC5Z5TPWXQERGD3C8G7RUSQGPQYEE";

pub(crate) fn config(root: &Path) -> BackupConfig {
    let file = root.join("backup.key");
    disk::write_private(&file, KEY.as_bytes()).expect("written");
    BackupConfig {
        version: "test",
        data_dir: root.to_owned(),
        logs: root.join("logs"),
        dir: root.join("backups"),
        key: BackupKey::from_file(&file).map_err(|error| error.to_string()),
        daily: None,
        keep: Duration::from_hours(30 * 24),
    }
}

fn progress() -> Arc<Progress> {
    Arc::new(Progress::new(CancellationToken::new()))
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Clock::manual(NOW);
        let store = Store::open(&directory.path().join("store.db").display().to_string(), clock.clone()).await;
        let store = store.expect("opens");
        store.migrate().await.expect("migrates");
        let name = ClientName::parse("demo").expect("a name");
        store.ensure_client(&name, &DomainName::default(), "test").await.expect("there");
        let place = Self { config: Arc::new(config(directory.path())), store, clock, directory };
        MasterKeys::create(&place.path("secrets/encryption.key")).expect("a key");
        for (path, content) in [
            ("certs/ca.crt", "ca"),
            ("certs/ca.key", "ca key"),
            ("certs/server.crt", "server"),
            ("certs/server.key", "server key"),
            ("secrets/audit.head", "head"),
            (".env", "LOG_LEVEL=info"),
            ("logs/main_server.log", "line"),
            ("journal/segment", "journal"),
            ("proxy/policy.bin", "policy"),
        ] {
            place.write(path, content);
        }
        place
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        disk::write_private(&self.path(path), content.as_bytes()).expect("written");
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    async fn create(&self) -> Result<Listed, BackupError> {
        let (config, dir) = (Arc::clone(&self.config), self.config.dir.clone());
        create::create(config, &self.store, &dir, self.clock.now(), progress()).await
    }
}

#[tokio::test]
async fn a_backup_holds_what_the_guide_lists_and_proves_itself() {
    let place = Place::new().await;
    let made = place.create().await.expect("made");
    assert_eq!(made.name, "backup_20261118_110640");
    let found =
        Box::pin(verify::verify(Arc::clone(&place.config), &made.path, &place.clock, progress())).await.expect("whole");
    // Two pairs, the master key and its public half, the settings, a log.
    assert_eq!(found.files, 8);
    assert!(found.rows > 3, "{found:?}");
    assert!(!place.path("verify.scratch").exists());
    assert_eq!(folder::newest(&place.config.dir).expect("listed"), (Some(NOW), Some(NOW)));
    let second = place.create().await.expect("made");
    assert_eq!(second.name, "backup_20261118_110641", "two of one second do not clash");
}

#[tokio::test]
async fn what_is_newer_stays_and_master_keys_are_merged() {
    let place = Place::new().await;
    let made = place.create().await.expect("made");
    let old = MasterKeys::open(&place.path("secrets/encryption.key")).expect("read").expect("there").active().id();
    std::fs::remove_dir_all(place.path("secrets")).expect("removed");
    let new = MasterKeys::create(&place.path("secrets/encryption.key")).expect("a key").active().id();
    place.write("secrets/audit.head", "a later head");
    place.write("certs/ca.crt", "another ca");
    std::fs::remove_file(place.path("certs/ca.key")).expect("removed");
    std::fs::remove_file(place.path("certs/server.key")).expect("removed");
    place.write(".env", "LOG_LEVEL=warn");
    place.write("journal/segment", "journal since");
    place.write("certs/later.crt", "later");
    let checked = Checked::open(Arc::clone(&place.config), &made.path, progress()).await.expect("whole");
    for _ in 0..2 {
        let placed = checked.place_files().await.expect("placed");
        let keys = MasterKeys::open(&place.path("secrets/encryption.key")).expect("read").expect("there");
        assert_eq!(keys.active().id(), new, "the one in use stays in use");
        assert!(keys.find(old).is_some(), "the old one opens");
        assert_eq!(placed.kept, ["certs/ca.crt", "certs/ca.key", ".env"]);
        assert!(placed.notes.iter().any(|note| note.contains("another authority's")), "{placed:?}");
    }
    assert_eq!(place.read("certs/ca.crt").as_deref(), Some("another ca"));
    assert_eq!(place.read("certs/ca.key"), None, "no key of another authority beside it");
    assert_eq!(place.read("certs/server.key").as_deref(), Some("server key"), "what is missing comes back");
    assert_eq!(place.read(".env").as_deref(), Some("LOG_LEVEL=warn"));
    assert_eq!(place.read(".env.from-backup").as_deref(), Some("LOG_LEVEL=info"));
    assert_eq!(place.read("journal/segment").as_deref(), Some("journal since"));
    assert_eq!(place.read("certs/later.crt").as_deref(), Some("later"));
    assert_eq!(place.read("secrets/audit.head"), None, "it belongs to the database that goes");
}

#[test]
fn no_path_leads_out_of_where_backups_are_taken_from() {
    for ours in ["certs/ca.crt", "certs/clients/a/a.key", "secrets/encryption.key", ".env", "logs/worker.log"] {
        assert!(placing::is_ours(ours), "{ours}");
    }
    for foreign in [
        "../certs/ca.crt",
        "certs/../../x",
        "/etc/passwd",
        "journal/segment",
        "proxy/policy.bin",
        "message-broker.db",
        "certs",
        "certs\\..\\x",
        "backup.json",
        "secrets/audit.head",
    ] {
        assert!(!placing::is_ours(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn old_backups_go_but_never_the_newest_good_one() {
    let place = Place::new().await;
    let dir = place.config.dir.clone();
    let first = place.create().await.expect("made");
    std::fs::create_dir_all(dir.join("backup_20200101_000000")).expect("made");
    std::fs::create_dir_all(dir.join("backup_20991231_000000")).expect("made");
    std::fs::create_dir_all(dir.join(".backup_20261118_000000_1.arriving")).expect("made");
    std::fs::create_dir_all(dir.join(".backup_20261118_000000.leaving")).expect("made");
    place.clock.set(NOW.plus(Duration::from_hours(31 * 24)));
    assert_eq!(folder::prune(&dir, place.config.keep, place.clock.now()).expect("pruned"), 1);
    let names = || folder::list(&dir).expect("listed").into_iter().map(|backup| backup.name).collect::<Vec<_>>();
    assert_eq!(names(), ["backup_20991231_000000", first.name.as_str()], "the damaged one counts for nothing");
    assert!(dir.join(".backup_20261118_000000_1.arriving").exists(), "it may be another's");
    assert!(!dir.join(".backup_20261118_000000.leaving").exists());
    let second = place.create().await.expect("made");
    assert_eq!(folder::prune(&dir, place.config.keep, place.clock.now()).expect("pruned"), 1);
    assert_eq!(names(), ["backup_20991231_000000", second.name.as_str()]);
}

#[tokio::test]
async fn a_backup_that_fails_or_is_stopped_leaves_nothing_behind() {
    let place = Place::new().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = Arc::new(Progress::new(stop));
    let (config, dir) = (Arc::clone(&place.config), place.config.dir.clone());
    let made = create::create(config, &place.store, &dir, NOW, stopped).await;
    assert!(made.is_err());
    assert_eq!(std::fs::read_dir(&dir).expect("there").count(), 0);
    place.store.close().await;
    assert!(place.create().await.is_err());
    assert_eq!(std::fs::read_dir(&dir).expect("there").count(), 0);
}

//! The server that tests share, across processes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Product;
use super::process::{Place, apart, greets, initialize, run, spare_port};

/// Nothing of it is meant to last: no write waits for the disk.
const FORGETFUL: [&str; 4] = [
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--innodb-flush-method=nosync",
    "--innodb-file-per-table=OFF",
];

/// Ends the server `$2` and removes its files `$3` once nobody has used it for ten seconds.
const KEEPER: &str = r#"
exec 9>>"$1/using" 8>>"$1/starting"
idle=0
while kill -0 "$2" 2>/dev/null; do
    sleep 2
    if flock -n -x 9; then idle=$((idle + 1)); flock -u 9; else idle=0; fi
    [ $idle -ge 5 ] || continue
    flock -x 8
    if flock -n -x 9; then rm -f "$1/port"; kill -9 "$2"; rm -rf "$3"; exit; fi
    flock -u 8
    idle=0
done
"#;

/// The right to use the shared server.
pub(crate) struct Using {
    pub(crate) port: u16,
    _lock: File,
}

impl Using {
    /// Takes part in the server that runs, or starts it.
    pub(crate) fn start(product: Product) -> Self {
        let folder = std::env::temp_dir().join(format!("mb-store-{product:?}").to_lowercase());
        fs::create_dir_all(&folder).expect("creates");
        let open = |name: &str| File::options().append(true).create(true).open(folder.join(name)).expect("opens");
        let starting = open("starting");
        starting.lock().expect("locks");
        let port = running(&folder).unwrap_or_else(|| start(product, &folder));
        let lock = open("using");
        lock.lock_shared().expect("locks");
        Self { port, _lock: lock }
    }
}

fn running(folder: &Path) -> Option<u16> {
    let port = fs::read_to_string(folder.join("port")).ok()?.parse().ok()?;
    greets(port).then_some(port)
}

#[expect(clippy::zombie_processes, reason = "the keeper ends the server, and itself")]
fn start(product: Product, folder: &Path) -> u16 {
    let place = Place::empty(product, &format!("mb-store-shared-{product:?}").to_lowercase());
    initialize(product, &place);
    let port = spare_port();
    let server = run(product, &place, port, &FORGETFUL.map(str::to_owned));
    let mut keeper = Command::new("sh");
    keeper.args(["-c", KEEPER, "keeper"]).arg(folder).arg(server.id().to_string()).arg(&place.outside);
    apart(&mut keeper).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    fs::write(folder.join("port"), port.to_string()).expect("writes");
    port
}

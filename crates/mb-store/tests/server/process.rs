//! A server's process: its files, its start and its end.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Product;

const START_TIMEOUT: Duration = Duration::from_mins(2);

/// What a careless administrator might have set.
const CARELESS: [&str; 4] = [
    "--default-time-zone=+05:30",
    "--sql-mode=",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
];

/// Where a server's files lie, as seen from outside and by the server itself.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) outside: PathBuf,
    pub(crate) inside: PathBuf,
}

impl Place {
    /// An empty place of this name; what an earlier run left there is removed.
    pub(crate) fn empty(product: Product, name: &str) -> Self {
        let inside = match product {
            Product::MariaDb => std::env::temp_dir().join(name),
            Product::MySql => Path::new("/tmp").join(name),
        };
        let outside = match product {
            Product::MariaDb => inside.clone(),
            Product::MySql => root().join("tmp").join(name),
        };
        let _ = fs::remove_dir_all(&outside);
        fs::create_dir_all(&outside).expect("creates");
        own(product, &outside);
        Self { outside, inside }
    }
}

/// Where `xtask/mysql.sh` has put it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/mysql/root").canonicalize().expect("mysql is unpacked")
}

#[cfg(unix)]
fn is_administrator() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[cfg(not(unix))]
fn is_administrator() -> bool {
    false
}

/// Lets a process outlive the group of the one that starts it.
pub(crate) fn apart(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// A server that the machine's administrator starts runs as a user of its own, whom either system knows by another number.
pub(crate) fn own(product: Product, path: &Path) {
    if !is_administrator() {
        return;
    }
    let users = match product {
        Product::MariaDb => PathBuf::from("/etc/passwd"),
        Product::MySql => root().join("etc/passwd"),
    };
    let users = fs::read_to_string(users).expect("lists the users");
    let user = users.lines().find_map(|line| line.strip_prefix("mysql:x:")?.split(':').next()?.parse().ok());
    give(path, user.expect("there is such a user"));
}

#[cfg(unix)]
fn give(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), None).expect("hands it over");
}

#[cfg(not(unix))]
fn give(_: &Path, _: u32) {}

fn program(product: Product, mariadb: &str) -> Command {
    let mut command = match product {
        Product::MariaDb => Command::new(installed(mariadb)),
        Product::MySql => {
            let mut command = Command::new("chroot");
            command.arg(root()).arg("mysqld");
            command
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).arg("--no-defaults");
    command
}

/// Servers lie among the programs for administrators, which are not on everyone's search path.
fn installed(program: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
    folders.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(program))
}

fn as_user(command: &mut Command) {
    if is_administrator() {
        command.arg("--user=mysql");
    }
}

pub(crate) fn initialize(product: Product, place: &Place) {
    let data = place.inside.join("data");
    let mut command = program(product, "mariadb-install-db");
    match product {
        Product::MariaDb => command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
        Product::MySql => command.args(["--initialize-insecure", "--secure-file-priv="]),
    };
    as_user(&mut command);
    if product == Product::MariaDb {
        // A server of its own runs meanwhile, and another one that starts removes what it takes for leftovers there.
        command.env("TMPDIR", &place.inside);
    }
    let log = fs::File::create(place.outside.join("init.log")).expect("creates");
    command.arg(format!("--datadir={}", data.display())).stderr(log);
    assert!(command.status().expect("starts").success(), "see init.log in {}", place.outside.display());
}

/// Starts a server and waits until it takes connections.
pub(crate) fn run(product: Product, place: &Place, port: u16, options: &[String]) -> Child {
    let inside = |name: &str| place.inside.join(name).display().to_string();
    let mut command = program(product, "mariadbd");
    as_user(&mut command);
    command.arg(format!("--datadir={}", inside("data"))).arg(format!("--port={port}"));
    command.arg(format!("--socket={}", inside("s"))).arg(format!("--pid-file={}", inside("pid")));
    command.args(["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=128M", "--max-connections=200"]);
    command.args(["--skip-log-bin", "--secure-file-priv="]).args(CARELESS).args(options);
    match product {
        Product::MySql => command.arg("--mysqlx=OFF"),
        // As it starts it removes what it takes for leftovers there, which may be another one's.
        Product::MariaDb => command.arg(format!("--tmpdir={}", inside("data"))),
    };
    let log = fs::File::create(place.outside.join("server.log")).expect("creates");
    let mut child = apart(&mut command).stderr(log).spawn().expect("starts");
    let began = Instant::now();
    while !greets(port) {
        let ended = child.try_wait().expect("can be asked");
        assert!(ended.is_none() && began.elapsed() < START_TIMEOUT, "see server.log in {}", place.outside.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

/// Whether a server speaks there; a port alone may belong to one that is about to give up.
pub(crate) fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok() && stream.read_exact(&mut [0; 5]).is_ok()
}

pub(crate) fn spare_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("has an address").port()
}

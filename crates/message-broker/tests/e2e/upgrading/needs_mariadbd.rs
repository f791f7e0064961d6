//! On a server.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::{Installation, RAISE, newest_known};
use crate::harness::{PATIENCE, command};
use crate::http::Connection;
use crate::production::servers::{PASSWORD, Server, spare_port};

/// Where the server's database is.
fn url(database: &Server) -> String {
    let encoded = PASSWORD.replace('%', "%25").replace('/', "%2F").replace('@', "%40").replace(' ', "%20");
    format!("mysql://broker:{encoded}@127.0.0.1:{}/broker", database.port)
}

/// The database without the time at which that was asked.
fn dump(database: &Server) -> String {
    let text = String::from_utf8_lossy(&database.dump()).into_owned();
    text.lines().filter(|line| !line.starts_with("-- ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_newer_schema_on_a_server_is_refused_and_left_alone() {
    let place = TempDir::new().expect("temporary folder");
    let database = Server::mariadb(place.path());
    let installation = Installation::found(&[("DATABASE_URL", &url(&database))]);
    let raise = || drop(database.sql(&format!("USE broker; {RAISE}")));
    installation.assert_newer_is_refused(raise, || dump(&database));
}

/// A main server that ends with the test.
struct MainServer(Child);

impl MainServer {
    fn start(dir: &Path, url: &str, port: u16) -> Self {
        let pairs = [("DATABASE_URL", url.to_owned()), ("MB_SERVER__PORT", port.to_string())];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        let log = std::fs::File::create(dir.join("stderr")).expect("a log");
        let mut program = command(dir, &pairs);
        let program = program.arg("main-server").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(program.spawn().expect("the binary starts"))
    }
}

impl Drop for MainServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn two_main_servers_that_start_at_once_on_an_empty_database_migrate_it_once_and_both_serve() {
    let place = TempDir::new().expect("temporary folder");
    let database = Server::mariadb(&place.path().join("mariadb"));
    // What they share is made on a database that nobody uses afterwards.
    let founded = Installation::found(&[]);
    let servers = ["one", "two"].map(|name| {
        let (dir, port) = (place.path().join(name), spare_port());
        for file in ["certs/ca.crt", "certs/ca.key", "secrets/encryption.key", "secrets/jwt.key"] {
            let to = dir.join(file);
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("created");
            std::fs::copy(founded.dir().join(file), to).expect("copied");
        }
        (dir, port)
    });
    let running = servers.each_ref().map(|(dir, port)| MainServer::start(dir, &url(&database), *port));
    let give_up = Instant::now() + PATIENCE;
    for (dir, port) in &servers {
        let is_up = || {
            let health = Connection::anonymous(dir, *port).and_then(|mut server| server.get("/health/ready"));
            health.is_ok_and(|response| response.status == 200)
        };
        while !is_up() {
            let log = || std::fs::read_to_string(dir.join("stderr")).unwrap_or_default();
            assert!(Instant::now() < give_up, "{} does not serve: {}", dir.display(), log());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    let applied = "SELECT MAX(version), COUNT(*) = COUNT(DISTINCT version), MIN(success) FROM broker._sqlx_migrations";
    assert_eq!(database.sql(applied).trim(), format!("{}\t1\t1", newest_known()));
    drop(running);
}

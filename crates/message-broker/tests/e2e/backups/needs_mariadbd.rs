//! From a file of this machine into a database server.

use super::{PASSPHRASE, back_up, read, said};
use crate::harness::{Broker, command};
use crate::production::load::submit_many;
use crate::production::servers::{PASSWORD, Server};

#[test]
fn a_backup_of_sqlite_is_restored_into_mariadb() {
    let place = tempfile::tempdir().expect("temporary folder");
    let database = Server::mariadb(place.path());
    let encoded = PASSWORD.replace('%', "%25").replace('/', "%2F").replace('@', "%40").replace(' ', "%20");
    let url = format!("mysql://broker:{encoded}@127.0.0.1:{}/broker", database.port);
    let mut broker = Broker::start_with(&[PASSPHRASE, ("MB_SERVER__LEASE", "3")]);
    let ids = submit_many(&mut broker.demo(), "from a file", 300);
    broker.wait_delivered(&ids);
    let backup = back_up(&broker);
    assert_eq!(broker.terminate().0, Some(0));

    broker.set("DATABASE_URL", &url);
    let text = broker.run_ok(&["backup", "restore", super::path(&backup), "--yes", "--json"]);
    assert!(text.contains("\"messages\": 300"), "{text}");
    assert_eq!(database.sql("SELECT COUNT(*) FROM broker.messages").trim(), "300");
    broker.restart();
    broker.wait_delivered(&ids);
    let shown = read(&broker, &ids[7]);
    assert!(shown.contains("from a file 0-7"), "{shown}");

    // From another machine, beside the main server that uses the database.
    let elsewhere = tempfile::tempdir().expect("temporary folder");
    let pairs = [PASSPHRASE, ("MB_SERVER__LEASE", "3"), ("DATABASE_URL", &url)];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refused = command(elsewhere.path(), &pairs).args(["backup", "restore", super::path(&backup), "--yes"]).output();
    let refused = refused.expect("the binary runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("another main server"), "{}", said(&refused));
    let again = back_up(&broker);
    broker.run_ok(&["backup", "verify", super::path(&again)]);
}

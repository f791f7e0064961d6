//! The restore drill of the deployment guide, with the database and the secrets gone.

use std::time::Instant;

use serde_json::json;

use super::{PASSPHRASE, back_up, lose_database, read, restore, said, wait_confirmed};
use crate::harness::{Broker, PATIENCE, files, message, submit};
use crate::http::Connection;
use crate::production::load::submit_many;

/// Of each half.
const COUNT: usize = 1000;
const EMAIL: &str = "root@example.org";
const PASSWORD: &str = "Correct horse 1";

fn token(broker: &Broker) -> String {
    let ask = json!({ "email": EMAIL, "password": PASSWORD }).to_string();
    let mut connection = Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    let give_up = Instant::now() + PATIENCE;
    loop {
        let response = connection.post("/portal/auth/login", &ask).expect("answered");
        if response.status == 200 {
            return response.json()["access_token"].as_str().expect("a token").to_owned();
        }
        assert!(Instant::now() < give_up, "{}", response.text());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn with_token(broker: &Broker, token: &str) -> u16 {
    let mut connection = Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    let bearer = format!("Bearer {token}");
    let response = connection.request("GET", "/portal/profile", &[("authorization", bearer.as_str())], b"");
    response.expect("answered").status
}

#[test]
fn a_restore_brings_back_everything_that_was_accepted() {
    let mut broker = Broker::start_with(&[PASSPHRASE, ("ADMIN_EMAIL", EMAIL), ("ADMIN_PASSWORD", PASSWORD)]);
    broker.run_ok(&["ca", "issue", "branch"]);
    broker.run_ok(&["ca", "issue", "thief"]);
    let mut ids = submit_many(&mut broker.demo(), "before the backup", COUNT);
    broker.wait_delivered(&ids);
    let signed_in = token(&broker);
    let backup = back_up(&broker);
    let verified = broker.run_ok(&["backup", "verify", super::path(&backup)]);
    assert!(verified.contains(&format!("{COUNT} messages")), "{verified}");

    ids.extend(submit_many(&mut broker.demo(), "after the backup", COUNT));
    broker.wait_delivered(&ids);
    broker.run_ok(&["ca", "issue", "later"]);
    broker.run_ok(&["ca", "revoke", "thief"]);
    let refused = |broker: &Broker| {
        let answer = Connection::client(broker.dir(), broker.ports.proxy, "thief")
            .and_then(|mut connection| connection.post("/api/v1/messages", &message("stolen")));
        answer.map_or(403, |response| response.status)
    };
    assert!(matches!(refused(&broker), 401 | 403));
    assert_eq!(with_token(&broker, &signed_in), 200);
    wait_confirmed(&broker);

    let beside = broker.run(&["backup", "restore", super::path(&backup), "--yes"]);
    assert_eq!(beside.status.code(), Some(1));
    assert!(said(&beside).contains("stop the main server"), "{}", said(&beside));
    assert_eq!(broker.terminate().0, Some(0));
    let journal = files(&broker.dir().join("journal")).len();
    lose_database(broker.dir());
    std::fs::remove_dir_all(broker.dir().join("secrets")).expect("removed");
    std::fs::remove_dir_all(broker.dir().join("certs/clients/branch")).expect("removed");
    let hesitating = broker.run(&["backup", "restore", super::path(&backup)]);
    assert!(said(&hesitating).contains("--yes"), "{}", said(&hesitating));
    assert!(!broker.dir().join("message-broker.db").exists(), "nothing was touched");

    let report = restore(&broker, &backup);
    assert_eq!(report["messages"], COUNT, "{report}");
    assert!(broker.dir().join("certs/clients/later/later.key").exists(), "what is newer stays");
    assert_eq!(files(&broker.dir().join("journal")).len(), journal);
    broker.restart();
    broker.wait_delivered(&ids);
    let shown = read(&broker, &ids[0]);
    assert!(shown.contains("before the backup 0-0"), "{shown}");
    let shown = read(&broker, &ids[COUNT]);
    assert!(shown.contains("after the backup 0-0"), "{shown}");
    for client in ["demo", "branch", "later"] {
        submit(&mut broker.client(client), "certificates work");
    }
    assert!(matches!(refused(&broker), 401 | 403), "the revoked stay revoked");
    assert_eq!(with_token(&broker, &signed_in), 401, "old sessions are dead");
    let revoked = broker.run_ok(&["ca", "list", "--status", "revoked"]);
    assert!(revoked.contains("thief"), "{revoked}");
    broker.run_ok(&["admin", "audit", "verify"]);
}

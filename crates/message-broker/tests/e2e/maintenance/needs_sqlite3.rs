//! What takes months is put back in time.

use std::process::Command;

use super::{PASSPHRASE, finding, report};
use crate::harness::{Broker, submit};

fn sql(broker: &Broker, statements: &str) {
    let database = broker.dir().join("message-broker.db");
    assert!(Command::new("sqlite3").arg(database).arg(statements).status().expect("sqlite3 runs").success());
}

#[test]
fn who_has_not_been_here_for_long_is_named_and_who_has_is_not() {
    let mut broker = Broker::start_with(&[PASSPHRASE]);
    for email in ["idle@example.org", "present@example.org", "new@example.org"] {
        broker.run_ok(&[
            "admin",
            "users",
            "create",
            "--email",
            email,
            "--password",
            "Correct1horse",
            "--role",
            "admin",
        ]);
    }
    for client in ["silent", "speaking", "revoked"] {
        broker.run_ok(&["ca", "issue", client]);
    }
    broker.run_ok(&["ca", "revoke", "revoked"]);
    for name in ["silent", "speaking"] {
        submit(&mut broker.client(name), "text");
    }
    let mut server = broker.component("admin", broker.ports.server);
    let login = serde_json::json!({ "email": "present@example.org", "password": "Correct1horse" }).to_string();
    assert_eq!(server.post("/portal/auth/login", &login).expect("answered").status, 200);
    broker.terminate();
    let day = 86_400_000_000_i64;
    sql(
        &broker,
        &format!(
            "UPDATE users SET created_at = created_at - 100 * {day} WHERE email <> 'new@example.org'; \
             UPDATE clients SET created_at = created_at - 40 * {day}; \
             UPDATE messages SET queued_at = queued_at - 35 * {day} WHERE client_id = 'silent'"
        ),
    );
    broker.restart();
    let report = report(&broker);
    let names = |section: &str| -> Vec<_> {
        let rows = report[section]["rows"].as_array().expect("a list").iter();
        rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row["last_at"].is_null())).collect()
    };
    // The first admin never signed in either, nor did the client of the first start send.
    let never = |name: &str| (name.to_owned(), true);
    assert_eq!(names("idle_users"), [never("admin@localhost"), never("idle@example.org")]);
    assert_eq!(names("silent_clients"), [never("demo"), ("silent".to_owned(), false)]);
    for (check, words) in [("users", "idle@example.org (never)"), ("clients", "silent (")] {
        let found = finding(&report, check);
        assert_eq!(found["status"], "warn");
        assert!(found["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{found}");
    }
}

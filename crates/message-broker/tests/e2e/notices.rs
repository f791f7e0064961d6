//! What happened where nobody looked reaches the admins: in the list, and by mail.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Broker, PATIENCE, files, submit};
use crate::smtp::Smtp;

const ADMIN: &str = "ops@example.org";

/// Flips a bit in the journal's frame of a message, as a disk does that forgets; and takes away what would spare the next
/// start from reading it.
fn damage(data: &Path, id: &str) {
    let wanted: u128 = u128::from_str_radix(&id.replace('-', ""), 16).expect("an id");
    let all = files(&data.join("journal"));
    let with =
        |extension: &'static str| move |path: &&PathBuf| path.extension().is_some_and(|found| found == extension);
    let holds = |content: &[u8]| content.windows(16).position(|bytes| bytes == wanted.to_be_bytes());
    let found = all.iter().filter(with("seg")).find_map(|path| {
        let content = std::fs::read(path).expect("readable");
        holds(&content).map(|at| (path, content, at))
    });
    let (path, mut content, at) = found.expect("the journal holds the message");
    content[at + 40] ^= 1;
    std::fs::write(path, content).expect("writable");
    for index in all.iter().filter(with("idx")) {
        std::fs::remove_file(index).expect("removable");
    }
}

/// Waits until there is an open notice of this kind.
fn notice(broker: &Broker, kind: &str) -> Value {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let listed = broker.run_ok(&["admin", "notices", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        if let Some(found) = listed["data"].as_array().expect("rows").iter().find(|row| row["kind"] == kind) {
            return found.clone();
        }
        assert!(Instant::now() < give_up, "nobody was told: {}", broker.stderr());
    }
}

/// Answers every request with 410 and ends the connection; where.
fn gone() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a spare port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 8 << 10];
            let answer = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.read(&mut request).and_then(|_| stream.write_all(answer));
        }
    });
    url
}

#[test]
fn a_destination_that_is_gone_is_told_of() {
    let broker = Broker::start_with(&[("MB_DELIVERY__ALLOW_CIDRS", "127.0.0.0/8")]);
    broker.run_ok(&["admin", "destinations", "create", "hook", "--url", &gone()]);
    submit(&mut broker.demo(), "for nobody");
    let notice = notice(&broker, "destination_disabled");
    assert_eq!(notice["about"], "default/hook");
}

#[test]
fn a_damaged_journal_is_told_of_in_the_list_and_by_mail() {
    let smtp = Smtp::start();
    let environment = smtp.environment();
    let mut settings: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("ADMIN_EMAIL", ADMIN), ("ADMIN_PASSWORD", "Correct-Horse-7")]);
    let mut broker = Broker::start_with(&settings);
    let mut demo = broker.demo();
    let ids: Vec<String> = (0..20).map(|n| submit(&mut demo, &format!("number {n}"))).collect();
    broker.wait_delivered(&ids);
    broker.terminate();
    damage(broker.dir(), &ids[7]);
    broker.restart();

    let notice = notice(&broker, "journal_damaged");
    assert_eq!(notice["level"], "error", "{notice}");
    assert_eq!(notice["detail"], serde_json::json!({ "proxy": "proxy", "damaged": 1, "stale": 0, "refused": 0 }));
    let mail = smtp.wait_for("damaged");
    assert!(mail.contains(ADMIN) && mail.contains("about: proxy "), "{mail}");
    broker.wait_delivered(&[submit(&mut broker.demo(), "everything else goes on")]);
}

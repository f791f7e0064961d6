//! A message whose content was removed stays away: in a running system, after a restart with a new epoch, and after the
//! store was put back to before it was removed, while the proxy still keeps its envelope.

use std::path::Path;

use super::{eventually, submit};
use crate::harness::{Broker, status_of};

/// Copies the store, which is at rest, from one folder to another.
fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    let of_store = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".db"));
    for path in [from, to].into_iter().flat_map(std::fs::read_dir).flatten().flatten().map(|entry| entry.path()) {
        if of_store(&path) && path.starts_with(to) {
            std::fs::remove_file(path).expect("removed");
        }
    }
    for entry in std::fs::read_dir(from).expect("a folder").flatten().filter(|entry| of_store(&entry.path())) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

fn status(broker: &Broker, id: &str) -> Option<String> {
    let rows = status_of(&mut broker.demo(), &[id.to_owned()]);
    rows.first().and_then(|row| row["status"].as_str().map(str::to_owned))
}

fn opens(broker: &Broker, id: &str) -> bool {
    broker.run(&["admin", "messages", "show", id, "--decrypt"]).status.success()
}

#[test]
fn an_expunged_message_never_comes_back() {
    let mut broker = Broker::start();
    let aside = tempfile::TempDir::new().expect("a folder");
    broker.terminate();
    copy_store(broker.dir(), &aside.path().join("before"));
    broker.restart();
    let ids = submit(&broker, "a", 2);
    broker.wait_delivered(&ids);
    broker.terminate();
    copy_store(broker.dir(), &aside.path().join("with"));
    broker.restart();
    broker.run_ok(&["admin", "messages", "expunge", &ids[0], "--yes"]);
    assert!(!opens(&broker, &ids[0]) && opens(&broker, &ids[1]));

    // The proxy offers what it keeps to the store that has a new epoch.
    broker.run_ok(&["admin", "store", "new-epoch"]);
    broker.crash_and_restart();
    assert!(!opens(&broker, &ids[0]) && opens(&broker, &ids[1]));

    // The store is put back to when the message was there, and to when it was not.
    for then in ["with", "before"] {
        broker.terminate();
        copy_store(&aside.path().join(then), broker.dir());
        let was_there = then == "with";
        assert_eq!((opens(&broker, &ids[0]), opens(&broker, &ids[1])), (was_there, was_there), "as it was then");
        broker.run_ok(&["admin", "store", "new-epoch"]);
        broker.restart();
        eventually(&broker, "the other message is there", || {
            status(&broker, &ids[1]).as_deref() == Some("delivered") && opens(&broker, &ids[1])
        });
        eventually(&broker, "the expunged one is not", || !opens(&broker, &ids[0]));
        assert!(!opens(&broker, &ids[0]), "and stays away");
        let audit = broker.run_ok(&["admin", "audit", "list", "--json"]);
        assert!(audit.contains("message.expunge"), "{then}: it is on record again");
    }
}

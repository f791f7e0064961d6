//! The restore drill: last night's dump, and what the proxies still keep.

use std::collections::HashSet;

use super::super::cluster::{Cluster, wait_until};
use super::super::load::{patience, submit_many};

/// Of each half.
const COUNT: usize = 1000;

#[test]
fn what_a_backup_lacks_comes_back_from_the_proxies() {
    let mut cluster = Cluster::start();
    let mut connection = cluster.demo().expect("connected");
    let mut ids: HashSet<_> = submit_many(&mut connection, "before the dump", COUNT).into_iter().collect();
    cluster.wait_stored(&ids, patience(COUNT));
    let dump = cluster.database.dump();
    ids.extend(submit_many(&mut connection, "after the dump", COUNT));
    assert_eq!(ids.len(), 2 * COUNT);
    cluster.wait_stored(&ids, patience(COUNT));
    // Confirmed, so that only what is kept on purpose can help.
    wait_until(&cluster, "confirmation", || cluster.metric(cluster.ports.proxy, "mb_journal_depth") == 0);

    cluster.database.lose_and_restore(&dump);
    assert_eq!(cluster.stored().0, COUNT as u64, "half of it is gone");
    // Nobody submits anything meanwhile: the proxies find out by themselves.
    cluster.run_ok(&["admin", "store", "new-epoch"]);
    cluster.wait_stored(&ids, patience(2 * COUNT));
    assert_eq!(cluster.stored(), (2 * COUNT as u64, 2 * COUNT as u64));

    // The same for a proxy that was not there when it happened.
    cluster.kill_role("proxy");
    cluster.database.lose_and_restore(&dump);
    cluster.run_ok(&["admin", "store", "new-epoch"]);
    cluster.start_role("proxy");
    cluster.wait_stored(&ids, patience(2 * COUNT));
    assert_eq!(cluster.stored(), (2 * COUNT as u64, 2 * COUNT as u64));
}

//! The guide's Redis: `allkeys-lru`, and its memory is full. It throws the whole queue away again and again.

use std::collections::HashSet;

use super::super::cluster::{Cluster, wait_until};
use super::super::load::{patience, submit_many};

const COUNT: usize = 6000;

fn evicted(cluster: &Cluster) -> u64 {
    let stats = cluster.redis.redis_cli(&["INFO", "stats"]);
    let count = stats.lines().find_map(|line| line.trim().strip_prefix("evicted_keys:"));
    count.and_then(|count| count.parse().ok()).expect("a number")
}

#[test]
fn a_redis_that_evicts_loses_nothing() {
    let settings = [("MB_REDIS__ALLOW_EVICTION", "true"), ("MB_REDIS__FORWARD_AGAIN", "1")];
    let limit = ["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"];
    let mut cluster = Cluster::start_with(&settings, &limit);
    cluster.kill_role("worker");
    let mut connection = cluster.demo().expect("connected");
    let mut ids: HashSet<_> = submit_many(&mut connection, "more than fits", COUNT).into_iter().collect();
    wait_until(&cluster, "an eviction", || evicted(&cluster) > 0);
    cluster.start_role("worker");
    ids.extend(submit_many(&mut connection, "and more", COUNT));
    cluster.wait_stored(&ids, patience(ids.len()));
    assert_eq!(cluster.stored(), (2 * COUNT as u64, 2 * COUNT as u64));
}

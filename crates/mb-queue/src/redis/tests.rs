//! The queue on real Redis servers that the tests start, break and stop.

pub(crate) mod server;

mod needs_redis_server {
    mod access;
    mod bounds;
    mod loss;
    mod sentinel;
    mod sharing;
    mod world;
}

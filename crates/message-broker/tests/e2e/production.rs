//! Four processes on real servers: the guide's deployment, killed in every way.

mod balancer;
mod cluster;
pub(crate) mod load;
mod needs_redis_server_and_needs_mariadbd;
mod resp;
pub(crate) mod servers;

//! The monitoring that is shipped, on real programs: Prometheus scrapes a running system by the configuration as it stands
//! in the repository, and is asked everything that dashboards and rules ask.

mod needs_prometheus;
mod prometheus;

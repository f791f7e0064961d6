//! End to end: the real binary, real TLS, real files. One test binary, one file per promise.

mod administration;
mod certificates;
mod cli;
mod crash;
mod delivering;
mod durability;
mod harness;
mod http;
mod identity;
mod lifecycle;
mod limits;
mod observability;
mod openapi;
mod people;
mod portal;
mod production;
mod rate_limits;
mod renewal;
mod secrecy;
mod status;
mod submit;

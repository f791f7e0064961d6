//! End to end: the real binary, real TLS, real files. One test binary, one file per promise.

mod administration;
mod authority;
mod backups;
mod certificates;
mod cli;
mod crash;
mod delivering;
mod deployment_guide;
mod durability;
mod echo;
mod enrolment;
mod generate;
mod harness;
mod http;
mod identity;
mod keys;
mod lifecycle;
mod limits;
mod maintenance;
mod manuals;
mod monitoring;
mod notices;
mod observability;
mod openapi;
mod people;
mod portal;
mod privileges;
mod production;
mod rate_limits;
mod receiver;
mod reload;
mod renewal;
#[cfg(unix)]
mod samples;
#[cfg(unix)]
mod scripts;
mod secrecy;
#[cfg(unix)]
mod services;
mod shutting_out;
mod smoke;
mod smtp;
mod status;
mod submit;
mod template;
mod tls_scan;
mod units;
mod upgrading;
#[cfg(unix)]
mod windows;

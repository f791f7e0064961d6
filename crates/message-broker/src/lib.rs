//! message-broker: all roles in one binary.
//!
//! This crate wires the role crates together and owns what only a process has: command line, configuration, files, locks.
//! Nothing imports it but its own binary and tests.

pub mod access;
pub mod bench;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod generate;
mod installation;
pub mod layout;
mod listen;
pub mod lock;
mod logs;
pub mod output;
#[cfg(test)]
mod reference;
pub mod reload;
pub mod send;
pub mod service;
pub mod smoke;
pub mod torture;
pub mod weakness;
pub mod wiring;

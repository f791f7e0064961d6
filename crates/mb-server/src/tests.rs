//! The main server's routes with a real store, real certificates and real keys.

mod access;
mod asking;
mod auditing;
mod backups;
mod changing_ca;
mod clients;
mod delivering;
mod domains;
mod entrance;
mod errors;
mod explaining;
mod figures;
mod fixture;
mod holding;
mod mail;
mod matrix;
mod messages;
mod notices;
mod people;
mod registering;
mod rotating;
mod shared_secrets;
mod watching;

//! The main server's routes with a real store, real certificates and real keys.

mod access;
mod asking;
mod fixture;
mod people;
mod registering;

//! The main server's routes with a real store, real certificates and real keys.

mod access;
mod fixture;
mod registering;

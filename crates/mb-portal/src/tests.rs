//! The pages as a browser gets them, before a main server that answers one session and before one that is away.

mod delivering;
mod door;
mod fixture;
mod handing_out;
mod pages;
mod running;
mod upkeep;

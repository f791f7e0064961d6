//! The migrations are embedded at compile time; without this a new file would not rebuild the crate.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}

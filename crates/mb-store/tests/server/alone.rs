//! A server of a test's own, which may be killed.

use std::fs;
use std::process::Child;

use crate::server::Product;
use crate::server::process::{Place, initialize, own, run, spare_port};

/// A running server; killed with the value.
pub(crate) struct Server {
    product: Product,
    place: Place,
    pub(crate) port: u16,
    options: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts a server of one's own, with further options.
    pub(crate) fn start(product: Product, name: &str, options: impl FnOnce(&Place) -> Vec<String>) -> Self {
        let place = Place::empty(product, &format!("mb-store-{name}-{}", std::process::id()));
        initialize(product, &place);
        let (port, options) = (spare_port(), options(&place));
        let child = run(product, &place, port, &options);
        Self { product, place, port, options, child }
    }

    /// Ends it as a fault of the machine would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("is running");
        self.child.wait().expect("ends");
    }

    /// Starts it again on its files and port.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.product, &self.place, self.port, &self.options);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.place.outside);
    }
}

/// Writes a file that the server may read; its path as the server sees it.
pub(crate) fn write(product: Product, place: &Place, name: &str, text: &str) -> String {
    let path = place.outside.join(name);
    fs::write(&path, text).expect("writes");
    own(product, &path);
    place.inside.join(name).display().to_string()
}

//! The portal as people use it, in a real browser.

mod apart;
mod browser;
mod needs_chromium;
mod speed;
mod webdriver;

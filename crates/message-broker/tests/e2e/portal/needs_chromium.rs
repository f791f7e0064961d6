//! What only a real browser shows: cookies, forms, policies and links that work together.

mod administration;
mod certificates;
mod gallery;
mod live;
mod messages;
mod passwords;
mod sending;
mod signing_in;
mod two_factor;

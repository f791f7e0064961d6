//! What only a real browser shows: cookies, forms, policies and links that work together.

mod administration;
mod certificates;
mod destinations;
mod gallery;
mod live;
mod messages;
mod passwords;
mod running;
mod sending;
mod signing_in;
mod two_factor;

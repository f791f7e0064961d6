//! On how many rows tests look at plans.

/// Doublings of 100 rows. So many as `usual` take seconds to make and are enough for plans to be those of millions;
/// `MB_TEST_PLAN_DOUBLINGS=14` looks at 1,638,400 on every database.
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
pub(crate) fn doublings(usual: u32) -> u32 {
    std::env::var("MB_TEST_PLAN_DOUBLINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

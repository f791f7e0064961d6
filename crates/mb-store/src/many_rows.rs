//! How many rows the tests of plans look at.

/// 1,638,400 rows on every database.
const DOUBLINGS: u32 = 14;

/// Doublings of a hundred rows; `MB_TEST_PLAN_DOUBLINGS` asks for more or less.
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
pub(crate) fn doublings() -> u32 {
    std::env::var("MB_TEST_PLAN_DOUBLINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(DOUBLINGS)
}

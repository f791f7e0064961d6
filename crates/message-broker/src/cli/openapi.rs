//! `openapi`

use std::process::ExitCode;

use crate::output;

/// Prints the document that the main server serves at `/openapi.json`.
pub(crate) fn run() -> ExitCode {
    output::data(mb_server::openapi_text().trim_end());
    ExitCode::SUCCESS
}

//! The `message-broker` binary: parses the command line, runs one command, turns its end into an exit code.

use std::process::ExitCode;

/// Requests allocate on one thread and free on another; the system's allocator contends there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    message_broker::cli::main()
}

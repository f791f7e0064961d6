//! The build for Windows, made here with Debian's MinGW: no toolchain but the one that is here, whose standard library is
//! built along from source.
//!
//! It has a target folder of its own, for it needs the compiler's unstable switches, which would make cargo build everything
//! else anew each time.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::command::{self, cargo};

/// The only Windows that is built for here.
const TARGET: &str = "x86_64-pc-windows-gnu";
/// Its folder, below the repository's root.
const FOLDER: &str = "target/windows/build";

/// Builds the program in a profile of cargo's; where it then lies.
///
/// # Errors
/// The build fails.
pub(crate) fn build(profile: &str) -> anyhow::Result<PathBuf> {
    if !command::succeeds(&mut compilation(profile))? {
        bail!("the build for Windows failed");
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(command::root().join(FOLDER).join(TARGET).join(folder).join("message-broker.exe"))
}

fn compilation(profile: &str) -> Command {
    let mut command =
        cargo(&["build", "--locked", "--package", "message-broker", "--target", TARGET, "--profile", profile]);
    command.arg("-Zbuild-std=std,panic_unwind");
    command.env("CARGO_TARGET_DIR", command::root().join(FOLDER));
    // Debian's compiler is a stable one; only this job asks for more.
    command.env("RUSTC_BOOTSTRAP", "1");
    for (variable, program) in [
        ("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", "x86_64-w64-mingw32-gcc-posix"),
        ("CC_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-gcc-posix"),
        ("CXX_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-g++-posix"),
        ("AR_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-ar"),
    ] {
        command.env(variable, program);
    }
    command
}

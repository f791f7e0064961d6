//! Puts the texts of the event log's entries into the program for Windows, where the viewer looks for them. For other systems
//! there is nothing to do, and without MinGW's tools the viewer shows the entries with a word of regret before them.

use std::path::Path;
use std::process::Command;

fn main() {
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/windows/events.mc");
    println!("cargo::rerun-if-changed={}", texts.display());
    let target = |name: &str| std::env::var_os(name).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") != "windows" || target("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    let out = target("OUT_DIR");
    let out = Path::new(&out);
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let status = Command::new(format!("x86_64-w64-mingw32-{program}")).args(arguments).current_dir(out).status();
        status.is_ok_and(|status| status.success())
    };
    let compiled = run("windmc", &["-h".as_ref(), ".".as_ref(), "-r".as_ref(), ".".as_ref(), texts.as_os_str()]);
    if compiled && run("windres", &["events.rc", "-O", "coff", "-o", "events.o"].map(AsRef::as_ref)) {
        println!("cargo::rustc-link-arg-bins={}", out.join("events.o").display());
    } else {
        println!("cargo::warning=the event log's texts are not in this program: windmc and windres are missing");
    }
}

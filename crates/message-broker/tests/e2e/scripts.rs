//! The scripts under `deployment/`: read by a parser or run, as far as this system can.

use std::path::{Path, PathBuf};
use std::process::Command;

fn deployment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deployment")
}

fn scripts(extension: &str) -> Vec<PathBuf> {
    let mut found = crate::harness::files(&deployment());
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    assert!(!found.is_empty(), "there are scripts");
    found
}

#[test]
fn every_shell_script_is_read_by_the_shell_and_has_its_twin_for_windows() {
    for script in scripts("sh") {
        let output = Command::new("sh").arg("-n").arg(&script).output().expect("sh runs");
        assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
        let twin = ["ps1", "bat"].map(|extension| script.with_extension(extension));
        assert!(twin.iter().any(|twin| twin.exists()), "{} has no twin", script.display());
    }
}

#[test]
fn the_scripts_of_services_are_calls_of_the_program() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let program = dir.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"\n").expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    for (script, says) in [
        ("install_all_services", "service install all --split-secrets"),
        ("install_main_server_service", "service install main-server --split-secrets"),
        ("install_portal_service", "service install portal --split-secrets"),
        ("stop_all_services", "service stop all --split-secrets"),
    ] {
        let mut call = Command::new("sh");
        call.arg(deployment().join(format!("services/{script}.sh"))).arg("--split-secrets");
        let output = call.env("MESSAGE_BROKER", &program).output().expect("sh runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), says, "{script}");
        let windows = std::fs::read_to_string(deployment().join(format!("services/{script}.ps1"))).expect("a script");
        assert!(windows.contains(says.trim_end_matches(" --split-secrets")), "{windows}");
    }
}

/// Windows PowerShell 5.1 knows none of what came later.
#[test]
fn scripts_for_windows_need_no_newer_powershell() {
    for script in scripts("ps1") {
        let text = std::fs::read_to_string(&script).expect("a script");
        assert!(text.is_ascii(), "{}: 5.1 takes a file without a mark for the system's code page", script.display());
        for newer in ["&&", "||", "??", "?.", " ? ", "-Parallel", "$IsWindows", "Join-String"] {
            assert!(!text.contains(newer), "{}: {newer}", script.display());
        }
    }
}

mod needs_tree_sitter_powershell {
    use super::*;

    const READ: &str = "
import sys, tree_sitter, tree_sitter_powershell
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
def faults(node):
    if node.is_error or node.is_missing:
        yield node
    for child in node.children:
        yield from faults(child)
for path in sys.argv[1:]:
    for node in faults(parser.parse(open(path, 'rb').read()).root_node):
        print(path, node.start_point, node.text[:60])
";

    #[test]
    fn every_powershell_script_is_read_without_a_fault() {
        let python = deployment().join("../target/tree-sitter-powershell/bin/python");
        let read = |files: &[PathBuf]| {
            let output = Command::new(&python).args(["-c", READ]).args(files).output().expect("python runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(read(&scripts("ps1")), "");
        let broken = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(broken.path(), "if ($a { exit 1 }\n").expect("written");
        assert!(!read(&[broken.path().to_owned()]).is_empty(), "the parser finds faults");
    }
}

mod needs_nft {
    use super::*;

    #[test]
    fn the_firewalls_rules_are_read_by_nftables() {
        for monitoring in ["10.0.0.0/24", "2001:db8::/64"] {
            let mut print = Command::new("sh");
            print.arg(deployment().join("firewall/configure_firewall.sh")).args([
                "--print",
                "--monitoring",
                monitoring,
            ]);
            let output = print.output().expect("sh runs");
            let rules = String::from_utf8(output.stdout).expect("text");
            for line in ["tcp dport { 5000, 8000, 8001 } accept", "tcp dport { 3306, 6379, 9100 } drop", monitoring] {
                assert!(rules.contains(line), "{line}: {rules}");
            }
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), rules).expect("written");
            let checked =
                Command::new("/usr/sbin/nft").args(["--check", "--file"]).arg(file.path()).output().expect("nft runs");
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            // Not every kernel that runs tests has tables to check against; what is wrong with the words is told all the same.
            assert!(checked.status.success() || !said.contains("syntax error"), "{said}");
        }
    }
}

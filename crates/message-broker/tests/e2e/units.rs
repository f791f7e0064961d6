//! The units for systemd that are shipped, as systemd itself reads and rates them.

mod needs_systemd_analyze {
    use std::path::Path;
    use std::process::{Command, Output};

    use tempfile::TempDir;

    use crate::harness::binary;

    /// Tenths of systemd's exposure level, from 0 to 100: up to 20 it calls a service OK.
    const MOST_EXPOSED: &str = "20";

    /// The shipped units with the program where it is here.
    fn units(dir: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd")).expect("it")
        {
            let path = entry.expect("an entry").path();
            let is_unit = path.extension().is_some_and(|extension| extension == "service" || extension == "target");
            if is_unit {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).expect("a unit");
                std::fs::write(dir.join(&name), text.replace("/usr/bin/message-broker", &binary())).expect("written");
                names.push(name);
            }
        }
        assert_eq!(names.len(), 6, "four roles, `up` and the target: {names:?}");
        names
    }

    fn analyze(dir: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).current_dir(dir).env("SYSTEMD_UNIT_PATH", format!("{}:", dir.display()));
        command.output().expect("systemd-analyze runs")
    }

    /// It ends with 0 where it only warns, of a key that it does not know for example.
    #[test]
    fn every_unit_is_read_without_a_word() {
        let dir = TempDir::new().expect("a folder");
        for name in units(dir.path()) {
            let output = analyze(dir.path(), &["verify", "--man=no", &name]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{name}: {said}");
        }
    }

    #[test]
    fn every_service_may_do_little() {
        let dir = TempDir::new().expect("a folder");
        for name in units(dir.path()).iter().filter(|name| name.ends_with(".service")) {
            let output = analyze(dir.path(), &["security", "--offline=true", "--threshold", MOST_EXPOSED, name]);
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }

    #[test]
    fn only_the_main_server_sees_its_secrets() {
        let dir = TempDir::new().expect("a folder");
        units(dir.path());
        for (role, hidden) in [("main-server", false), ("proxy", true), ("worker", true), ("portal", true)] {
            let text =
                std::fs::read_to_string(dir.path().join(format!("message-broker-{role}.service"))).expect("a unit");
            for path in ["certs/ca.key", "secrets"] {
                let line = format!("InaccessiblePaths=-/var/lib/message-broker/{path}");
                assert_eq!(text.lines().any(|found| found == line), hidden, "{role}: {line}");
            }
            assert!(text.contains(&format!("{} {role}\n", binary())), "{text}");
        }
    }
}

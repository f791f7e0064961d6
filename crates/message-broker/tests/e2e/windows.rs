//! The program for Windows, under Wine: `cargo xtask windows` builds it and its installer, which CI does before the tests. What
//! Wine does not know - delayed start, access lists, the event log's viewer - is not shown here.

mod needs_wine {
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::time::{Duration, Instant};

    use tempfile::TempDir;

    use crate::harness::{PATIENCE, Ports, submit};
    use crate::http::Connection;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/windows")
    }

    fn program() -> PathBuf {
        let program = folder().join("build/x86_64-pc-windows-gnu/debug/message-broker.exe");
        assert!(program.exists(), "run `cargo xtask windows`, which builds {}", program.display());
        program
    }

    /// Wine in the prefix that `cargo xtask windows` has made.
    fn wine(program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "5", "120", "wine"]).arg(program);
        command.env("WINEPREFIX", folder().join("wine")).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY").env_remove("MB_DATA_DIR");
        command
    }

    /// As Windows names a place of this machine.
    fn windows_path(path: &Path) -> String {
        format!("Z:{}", path.display().to_string().replace('/', "\\"))
    }

    fn text(output: &Output) -> String {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    }

    /// Wine's processes end with it, whatever a test left running.
    struct Prefix;

    impl Prefix {
        /// Services outlive the command that started them only while the server is told to stay.
        fn start() -> Self {
            let mut server = Command::new("wineserver");
            server.arg("-p300").env("WINEPREFIX", folder().join("wine")).status().expect("wineserver runs");
            Self
        }
    }

    impl Drop for Prefix {
        fn drop(&mut self) {
            let mut server = Command::new("wineserver");
            let _ = server.arg("-k").env("WINEPREFIX", folder().join("wine")).status();
        }
    }

    /// A data directory with ports of its own in its settings: a service inherits no environment.
    fn configured(dir: &Path) -> Ports {
        let ports = Ports::spare();
        let settings = ports.environment().into_iter().map(|(name, value)| format!("{name}={value}\n"));
        std::fs::create_dir_all(dir).expect("created");
        std::fs::write(dir.join(".env"), settings.collect::<String>()).expect("written");
        ports
    }

    fn wait_ready(dir: &Path, ports: Ports, mut ended: impl FnMut() -> Option<String>) {
        let give_up = Instant::now() + 2 * PATIENCE;
        let ready = || Connection::anonymous(dir, ports.proxy).and_then(|mut proxy| proxy.get("/health/ready"));
        while !ready().is_ok_and(|answer| answer.status == 200) {
            if let Some(how) = ended() {
                panic!("ended: {how}");
            }
            assert!(Instant::now() < give_up, "not ready: {}", logs(dir));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn logs(dir: &Path) -> String {
        std::fs::read_to_string(dir.join("logs/main_server.log")).unwrap_or_default()
    }

    struct Process(Child);

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_program_makes_an_authority_runs_and_takes_a_message() {
        let _prefix = Prefix::start();
        let dir = TempDir::new().expect("temporary folder");
        let data = dir.path().join("data");
        let ports = configured(&data);
        let version = wine(program()).arg("--version").output().expect("wine runs");
        assert!(text(&version).contains(env!("CARGO_PKG_VERSION")), "{}", text(&version));
        let at = windows_path(&data);
        let made = wine(program()).args(["--data-dir", &at, "ca", "init"]).output().expect("wine runs");
        assert!(made.status.success(), "{}", text(&made));
        assert!(data.join("certs/ca.key").exists());
        let mut up = wine(program());
        up.args(["--data-dir", &at, "up"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut up = Process(up.spawn().expect("wine runs"));
        wait_ready(&data, ports, || up.0.try_wait().expect("asked").map(|status| format!("{status} {}", logs(&data))));
        submit(&mut Connection::client(&data, ports.proxy, "demo").expect("connected"), "from Linux to Windows");
    }

    #[test]
    fn the_service_is_installed_started_used_stopped_and_removed() {
        let _prefix = Prefix::start();
        let dir = TempDir::new().expect("temporary folder");
        let data = dir.path().join("data");
        let ports = configured(&data);
        let at = windows_path(&data);
        let service = |words: &[&str]| {
            wine(program()).args(["--data-dir", &at, "service"]).args(words).output().expect("wine runs")
        };
        let row = || {
            let listed = service(&["status", "up", "--json"]);
            let rows: serde_json::Value =
                serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{}", text(&listed)));
            rows["data"][0].clone()
        };
        assert_eq!(row()["installed"], false);
        let installed = service(&["install", "up"]);
        assert!(installed.status.success(), "{}", text(&installed));
        let started = service(&["start", "up"]);
        assert!(started.status.success(), "{} {}", text(&started), logs(&data));
        wait_ready(&data, ports, || None);
        submit(&mut Connection::client(&data, ports.proxy, "demo").expect("connected"), "to a service");
        let running = row();
        assert_eq!((&running["service"], &running["state"]), (&"MessageBroker".into(), &"running".into()), "{running}");
        let stopped = service(&["stop", "up"]);
        assert!(stopped.status.success(), "{}", text(&stopped));
        assert_eq!(row()["state"], "stopped");
        assert!(logs(&data).contains("\"message\":\"stopped\""), "it drained: {}", logs(&data));
        let removed = service(&["uninstall", "up"]);
        assert!(removed.status.success(), "{}", text(&removed));
        assert_eq!(row()["installed"], false);
    }

    #[test]
    fn the_installer_lays_out_the_guides_folder_and_takes_it_away() {
        let _prefix = Prefix::start();
        let folder_of_installer = folder().join("installer");
        let installer = std::fs::read_dir(&folder_of_installer).expect("run `cargo xtask windows`");
        let installer = installer.filter_map(|entry| Some(entry.ok()?.path()));
        let installer = installer.filter(|path| path.extension().is_some_and(|extension| extension == "msi"));
        let installer = windows_path(&installer.last().expect("an installer").canonicalize().expect("there"));
        let root = folder().join("wine/drive_c/MessageBroker");
        let outcome = wine("msiexec").args(["/i", &installer, "/qn"]).output().expect("wine runs");
        assert!(outcome.status.success(), "{}", text(&outcome));
        for file in [
            "bin/message-broker.exe",
            "deployment/services/install_all_services.ps1",
            "deployment/certs/init_ca.bat",
            "monitoring/prometheus/prometheus.yml",
            "docs/operating.md",
        ] {
            assert!(root.join(file).exists(), "{file}");
        }
        let version = wine(root.join("bin/message-broker.exe")).arg("--version").output().expect("wine runs");
        assert!(version.status.success(), "{}", text(&version));
        std::fs::write(root.join(".env"), "LOG_LEVEL=info\n").expect("written");
        let removed = wine("msiexec").args(["/x", &installer, "/qn"]).output().expect("wine runs");
        assert!(removed.status.success(), "{}", text(&removed));
        assert!(!root.join("bin/message-broker.exe").exists());
        assert!(root.join(".env").exists(), "what was configured stays");
        std::fs::remove_dir_all(&root).expect("removed");
    }
}

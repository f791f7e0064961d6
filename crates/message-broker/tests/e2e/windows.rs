//! The program for Windows, under Wine: `cargo xtask windows` builds it and its installer, and only where it has do these tests
//! run. What Wine does not know - delayed start, access lists, the event log's viewer - is not shown here.

mod needs_wine {
    use std::fs::File;
    use std::io::{Read as _, Seek as _};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::{Mutex, MutexGuard, PoisonError};
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

    /// Where the guide has the installation.
    fn root() -> PathBuf {
        folder().join("wine/drive_c/MessageBroker")
    }

    /// As Windows names a place of this machine.
    fn windows_path(path: &Path) -> String {
        format!("Z:{}", path.display().to_string().replace('/', "\\"))
    }

    /// How a program ended, and what it said.
    struct Outcome {
        success: bool,
        out: String,
        err: String,
    }

    impl Outcome {
        /// Of a program that is run to its end. It writes into files: a pipe would be held open by Wine's own services, which
        /// the first program of a session starts.
        fn of(command: &mut Command) -> Self {
            let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().expect("temporary file"));
            let end = |file: &File| Stdio::from(file.try_clone().expect("cloned"));
            let status = command.stdout(end(&out)).stderr(end(&err)).status().expect("wine runs");
            let read = |file: &mut File| {
                let mut bytes = Vec::new();
                file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("readable");
                String::from_utf8_lossy(&bytes).into_owned()
            };
            Self { success: status.success(), out: read(&mut out), err: read(&mut err) }
        }

        /// It did what it should.
        #[track_caller]
        fn expect(self, what: &str) -> Self {
            assert!(self.success, "{what}: {}{}", self.out, self.err);
            self
        }
    }

    /// Held by the test whose turn it is: there is one prefix, and the toolchain's own runner has tests side by side.
    static TURN: Mutex<()> = Mutex::new(());

    /// Wine's processes end with it, whatever a test left running.
    struct Prefix {
        _turn: MutexGuard<'static, ()>,
    }

    impl Prefix {
        /// As it was made: the registry holds all that Wine knows of services and installations, and a test that was killed may have
        /// left some. Services outlive the command that started them only while the server is told to stay.
        fn start() -> Self {
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = Self::server("-k");
            let _ = std::fs::remove_dir_all(root());
            for file in std::fs::read_dir(folder().join("registry")).expect("`cargo xtask windows` has made it") {
                let file = file.expect("readable");
                std::fs::copy(file.path(), folder().join("wine").join(file.file_name())).expect("copied");
            }
            Self::server("-p300").expect("wineserver runs");
            Self { _turn: turn }
        }

        /// Tells the server something; what it leaves running writes nowhere.
        fn server(word: &str) -> std::io::Result<ExitStatus> {
            let mut server = Command::new("wineserver");
            server
                .arg(word)
                .env("WINEPREFIX", folder().join("wine"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
        }
    }

    impl Drop for Prefix {
        fn drop(&mut self) {
            let _ = Self::server("-k");
            let _ = std::fs::remove_dir_all(root());
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
        let dir = TempDir::new().expect("temporary folder");
        // Ends, and its processes with it, before the folder that they write into.
        let _prefix = Prefix::start();
        let data = dir.path().join("data");
        let ports = configured(&data);
        let version = Outcome::of(wine(program()).arg("--version")).expect("--version");
        assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{}", version.out);
        let at = windows_path(&data);
        Outcome::of(wine(program()).args(["--data-dir", &at, "ca", "init"])).expect("ca init");
        assert!(data.join("certs/ca.key").exists());
        let mut up = wine(program());
        up.args(["--data-dir", &at, "up"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut up = Process(up.spawn().expect("wine runs"));
        wait_ready(&data, ports, || up.0.try_wait().expect("asked").map(|status| format!("{status} {}", logs(&data))));
        submit(&mut Connection::client(&data, ports.proxy, "demo").expect("connected"), "from Linux to Windows");
    }

    #[test]
    fn the_service_is_installed_started_used_stopped_and_removed() {
        let dir = TempDir::new().expect("temporary folder");
        // Ends, and its processes with it, before the folder that they write into.
        let _prefix = Prefix::start();
        let data = dir.path().join("data");
        let ports = configured(&data);
        let at = windows_path(&data);
        let service = |words: &[&str]| Outcome::of(wine(program()).args(["--data-dir", &at, "service"]).args(words));
        let row = || {
            let listed = service(&["status", "up", "--json"]);
            let rows: serde_json::Value =
                serde_json::from_str(&listed.out).unwrap_or_else(|_| panic!("{}{}", listed.out, listed.err));
            rows["data"][0].clone()
        };
        assert_eq!(row()["installed"], false);
        service(&["install", "up"]).expect("install");
        service(&["repair"]).expect("repair");
        assert_eq!(row()["state"], "stopped", "what was never started has not failed");
        service(&["start", "up"]).expect("start");
        wait_ready(&data, ports, || None);
        submit(&mut Connection::client(&data, ports.proxy, "demo").expect("connected"), "to a service");
        let running = row();
        assert_eq!((&running["service"], &running["state"]), (&"MessageBroker".into(), &"running".into()), "{running}");
        service(&["stop", "up"]).expect("stop");
        assert_eq!(row()["state"], "stopped");
        assert!(logs(&data).contains("\"message\":\"stopped\""), "it drained: {}", logs(&data));
        service(&["uninstall", "up"]).expect("uninstall");
        assert_eq!(row()["installed"], false);
    }

    /// What `cargo xtask windows` has packed.
    fn installer() -> String {
        let folder = folder().join("installer");
        let files = std::fs::read_dir(folder).expect("run `cargo xtask windows`");
        let files = files.filter_map(|entry| Some(entry.ok()?.path()));
        let mut installers = files.filter(|path| path.extension().is_some_and(|extension| extension == "msi"));
        windows_path(&installers.next().expect("an installer").canonicalize().expect("there"))
    }

    #[test]
    fn the_installer_lays_out_the_guides_folder_and_takes_it_away_with_its_services() {
        let _prefix = Prefix::start();
        let (installer, root) = (installer(), root());
        Outcome::of(wine("msiexec").args(["/i", &installer, "/qn"])).expect("installation");
        for file in [
            "bin/message-broker.exe",
            "deployment/services/install_all_services.ps1",
            "deployment/certs/init_ca.bat",
            "monitoring/prometheus/prometheus.yml",
            "packaging/windows/README.md",
            "docs/operating.md",
        ] {
            assert!(root.join(file).exists(), "{file}");
        }
        let ports = configured(&root);
        let exe = root.join("bin/message-broker.exe");
        // The installation is where services look by themselves.
        for action in ["install", "start"] {
            Outcome::of(wine(&exe).args(["service", action, "up"])).expect(action);
        }
        wait_ready(&root, ports, || None);
        Outcome::of(wine("msiexec").args(["/x", &installer, "/qn"])).expect("removal");
        assert!(logs(&root).contains("\"message\":\"stopped\""), "it drained: {}", logs(&root));
        let left = Outcome::of(wine(program()).args(["service", "status", "up"]));
        assert!(left.out.contains("not installed"), "{}{}", left.out, left.err);
        assert!(!exe.exists());
        for kept in [".env", "certs/ca.key", "message-broker.db"] {
            assert!(root.join(kept).exists(), "what was configured and stored stays: {kept}");
        }
    }
}

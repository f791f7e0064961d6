//! The components as services of systemd: what they tell it, and what `service` writes. No systemd runs the tests, so its
//! socket is played, and units are written below a root of their own.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{PATIENCE, Ports, binary, command};

/// systemd's end of the socket.
struct Systemd {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Systemd {
    fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        Self { socket, heard: Vec::new() }
    }

    /// Waits for a message that holds `line`.
    fn wait_for(&mut self, line: &str) {
        let give_up = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while !self.heard.iter().any(|said| said.lines().any(|found| found == line)) {
            assert!(Instant::now() < give_up, "{line} is never said: {:?}", self.heard);
            if let Ok(length) = self.socket.recv(&mut buffer) {
                self.heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        }
    }
}

struct Service(Child);

impl Service {
    fn start(role: &str, dir: &Path, socket: &Path, more: &[(&str, &str)]) -> Self {
        let mut service = command(dir, &Ports::spare().environment());
        service.arg(role).env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "400000").envs(more.iter().copied());
        Self(service.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn systemd_is_told_of_the_start_the_life_and_the_end() {
    let dir = TempDir::new().expect("temporary folder");
    let path = dir.path().join("notify");
    let mut systemd = Systemd::listen(&path);
    let mut service = Service::start("up", &dir.path().join("data"), &path, &[]);
    systemd.wait_for("STATUS=working");
    assert!(systemd.heard.iter().any(|said| said.starts_with("READY=1\n")), "{:?}", systemd.heard);
    systemd.wait_for("WATCHDOG=1");
    Command::new("kill").args(["-TERM", &service.0.id().to_string()]).status().expect("kill runs");
    systemd.wait_for("STOPPING=1");
    assert!(service.0.wait().expect("ended").success());
}

#[test]
fn a_main_server_that_waits_for_its_database_has_started() {
    let dir = TempDir::new().expect("temporary folder");
    let path = dir.path().join("notify");
    let mut systemd = Systemd::listen(&path);
    // Nobody listens there.
    let database = [("DATABASE_URL", "mysql://nobody:nothing@127.0.0.1:1/none")];
    let _service = Service::start("main-server", &dir.path().join("data"), &path, &database);
    systemd.wait_for("STATUS=waiting for the database");
    systemd.wait_for("WATCHDOG=1");
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// `service` with `words` for the installation below `root`.
fn service(root: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("service").args(words).arg("--root").arg(root).env_remove("MB_DATA_DIR");
    command.output().expect("the binary runs")
}

fn service_ok(root: &Path, words: &[&str]) -> String {
    let output = service(root, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn without_systemd_nothing_is_written_and_the_way_out_is_named() {
    if Path::new("/run/systemd/system").exists() {
        return;
    }
    for words in [["service", "install"], ["service", "uninstall"]] {
        let output = Command::new(binary()).args(words).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("systemd does not run") || said.contains("no service is installed"), "{said}");
    }
    assert!(!Path::new("/etc/systemd/system/message-broker-proxy.service").exists());
}

mod needs_systemd_analyze {
    use super::*;

    /// The accounts below `root` as systemd-sysusers has made them.
    fn account(root: &Path, name: &str) -> String {
        let list = std::fs::read_to_string(root.join("etc/passwd")).expect("accounts");
        let line = list.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("the account");
        line.split(':').nth(2).expect("a number").to_owned()
    }

    fn unit(root: &Path, name: &str) -> PathBuf {
        root.join("etc/systemd/system").join(name)
    }

    #[test]
    fn what_is_installed_is_read_by_systemd_and_removed_again() {
        if !is_root() {
            return;
        }
        let root = TempDir::new().expect("temporary folder");
        service_ok(root.path(), &["install", "--program", "/usr/bin/true"]);
        for role in ["main-server", "proxy", "worker", "portal"] {
            let name = format!("message-broker-{role}.service");
            let mut verify = Command::new("systemd-analyze");
            verify.args(["verify", "--man=no"]).arg(unit(root.path(), &name));
            let output = verify.output().expect("systemd-analyze runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{name}: {said}");
            let link = unit(root.path(), "message-broker.target.wants").join(&name);
            assert!(link.symlink_metadata().is_ok(), "{name} starts with the target");
        }
        assert!(unit(root.path(), "multi-user.target.wants/message-broker.target").symlink_metadata().is_ok());
        let rows: serde_json::Value =
            serde_json::from_str(&String::from_utf8_lossy(&service(root.path(), &["status", "--json"]).stdout))
                .expect("JSON");
        let rows = rows["data"].as_array().expect("rows");
        assert_eq!(rows.len(), 4, "{rows:?}");
        for row in rows {
            assert_eq!((&row["installed"], &row["enabled"]), (&true.into(), &true.into()), "{row}");
            assert_eq!(row["data_dir"], "/var/lib/message-broker");
        }
        let data = root.path().join("var/lib/message-broker");
        std::fs::write(data.join("secrets/jwt.key"), "x").expect("written");
        service_ok(root.path(), &["repair"]);
        let owner =
            std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(data.join("secrets/jwt.key")).expect("there"));
        assert_eq!(owner.to_string(), account(root.path(), "message-broker"), "repaired");
        service_ok(root.path(), &["uninstall"]);
        let left = std::fs::read_dir(root.path().join("etc/systemd/system")).expect("a folder");
        let left: Vec<_> = left.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".service")), "{left:?}");
        assert!(data.join("secrets/jwt.key").exists(), "data stays");
        let none = service(root.path(), &["repair"]);
        assert!(String::from_utf8_lossy(&none.stderr).contains("no service is installed"));
    }

    mod needs_setpriv {
        use super::*;

        /// Whether the account may read a file.
        fn reads(uid: &str, file: &Path) -> bool {
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--reuid", uid, "--regid", uid, "--clear-groups", "cat"]).arg(file);
            setpriv.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("setpriv runs").success()
        }

        #[test]
        fn with_secrets_apart_the_proxys_account_reads_no_key_and_no_password_of_another() {
            if !is_root() {
                return;
            }
            let root = TempDir::new().expect("temporary folder");
            std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("opened");
            let whole = root.path().join("var/lib/message-broker");
            std::fs::create_dir_all(&whole).expect("created");
            let env = "# DATABASE_URL=mysql://u:Old-Secret@h/d\nSMTP_PASSWORD=Mail-Secret\nREDIS_PASSWORD_FILE=own/redis\n\
                       JWT_SECRET=a-secret-that-signs-tokens-and-is-long-enough\n";
            std::fs::write(whole.join(".env"), env).expect("written");
            std::fs::create_dir_all(whole.join("own")).expect("created");
            std::fs::create_dir_all(whole.join("journal")).expect("created");
            std::fs::write(whole.join("own/redis"), "Redis-Secret\n").expect("written");
            std::fs::write(whole.join("journal/entry"), "x").expect("written");
            service_ok(root.path(), &["install", "--split-secrets", "--program", "/usr/bin/message-broker"]);
            let uid = |role: &str| account(root.path(), &format!("message-broker-{role}"));
            let dir = |role: &str| root.path().join(format!("var/lib/message-broker-{role}"));
            let proxy = uid("proxy");
            for own in ["certs/proxy.key", "certs/ca.crt", ".env", "own/redis", "journal/entry"] {
                assert!(reads(&proxy, &dir("proxy").join(own)), "{own}");
            }
            let main = uid("main");
            for foreign in ["certs/ca.key", "secrets/encryption.key", ".env", "message-broker.db", "certs/admin.key"] {
                assert!(reads(&main, &dir("main").join(foreign)), "{foreign} is the main server's");
                assert!(!reads(&proxy, &dir("main").join(foreign)), "{foreign}");
                assert!(!reads(&proxy, &whole.join(foreign)), "{foreign}, where it was");
            }
            for (role, missing) in
                [("proxy", "certs/worker.key"), ("worker", "certs/proxy.key"), ("portal", "own/redis")]
            {
                assert!(!dir(role).join(missing).exists(), "{role}: {missing}");
            }
            for role in ["proxy", "worker", "portal"] {
                let known = std::fs::read_to_string(dir(role).join(".env")).expect("settings");
                for secret in ["Old-Secret", "Mail-Secret", "signs-tokens"] {
                    assert!(!known.contains(secret), "{role}: {known}");
                }
                let text = std::fs::read_to_string(unit(root.path(), &format!("message-broker-{role}.service")))
                    .expect("a unit");
                assert!(text.contains(&format!("\nUser=message-broker-{role}\n")), "{text}");
                assert!(text.contains(&format!("\nEnvironmentFile=-/etc/default/message-broker-{role}\n")), "{text}");
            }
            // Again changes nothing and loses nothing.
            service_ok(root.path(), &["repair"]);
            assert!(reads(&proxy, &dir("proxy").join("journal/entry")));
            assert!(dir("main").join("secrets/encryption.key").exists());
        }
    }
}

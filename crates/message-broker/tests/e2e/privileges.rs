//! Least privilege: each role has its own account and directory, and reads no other's secrets. Accounts are changed by root
//! alone, which CI is.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, command, submit};
use crate::http::Connection;

mod needs_setpriv {
    use super::*;

    #[test]
    fn the_proxys_account_reads_neither_the_authoritys_key_nor_the_master_key_nor_the_databases_password() {
        // Accounts are changed by root alone, which CI is.
        if !Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
            return;
        }
        let dir = tempfile::tempdir().expect("temporary folder");
        open_to_all(dir.path());
        let (whole, split) = (dir.path().join("whole"), dir.path().join("split"));
        let run = |args: &[&str]| {
            let output = command(&whole, &[]).args(args).output().expect("the binary runs");
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["ca", "init"]);
        std::fs::write(whole.join(".env"), "REDIS_HOST=127.0.0.1\nSMTP_PASSWORD=Secret-Of-The-Main-Server\n")
            .expect("written");
        let to = split.display().to_string();
        run(&["split-secrets", "--to", &to, "--owner", "main-server=61001:61001", "--owner", "proxy=61002:61002"]);
        open_to_all(&split);
        let reads = |file: &str| {
            Command::new("setpriv")
                .args(["--reuid", "61002", "--regid", "61002", "--clear-groups", "cat"])
                .arg(split.join(file))
                .output()
                .expect("setpriv runs")
        };
        for own in ["proxy/certs/proxy.key", "proxy/certs/ca.crt", "proxy/.env"] {
            assert!(reads(own).status.success(), "{own}");
        }
        for foreign in ["certs/ca.key", "secrets/encryption.key", "secrets/jwt.key", ".env", "certs/server.key"] {
            assert!(split.join("main-server").join(foreign).exists(), "{foreign}");
            assert!(!reads(&format!("main-server/{foreign}")).status.success(), "{foreign}");
        }
        assert!(!String::from_utf8_lossy(&reads("proxy/.env").stdout).contains("Secret-Of-The-Main-Server"));
        for missing in ["certs/ca.key", "secrets/encryption.key"] {
            assert!(!split.join("proxy").join(missing).exists(), "{missing}");
        }
    }

    /// A role under an account of its own, in a directory of its own.
    struct Process(std::process::Child);

    impl Process {
        fn start(role: &str, uid: &str, dir: &Path, environment: &[(String, String)]) -> Self {
            let log = std::fs::File::create(dir.with_extension("log")).expect("a log");
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--reuid", uid, "--regid", uid, "--clear-groups", crate::harness::BINARY, role]);
            setpriv.env("MB_DATA_DIR", dir).envs(environment.iter().map(|(name, value)| (name, value)));
            Self(setpriv.stdout(Stdio::null()).stderr(log).spawn().expect("setpriv runs"))
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn each_role_runs_in_its_own_directory_under_its_own_account() {
        if !Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n") {
            return;
        }
        let dir = tempfile::tempdir().expect("temporary folder");
        open_to_all(dir.path());
        let (whole, split) = (dir.path().join("whole"), dir.path().join("split"));
        let ports = crate::harness::Ports::spare();
        // Nobody listens there: what a proxy accepts needs no queue.
        let own = [
            ("MAIN_SERVER_URL", format!("https://localhost:{}", ports.server)),
            ("MB_QUEUE__BACKEND", "redis".to_owned()),
            ("REDIS_PORT", "1".to_owned()),
            ("LOG_FILE_PATH", "logs".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let environment: Vec<_> = ports.environment().into_iter().chain(own).collect();
        let run = |dir: &Path, args: &[&str]| {
            let output = command(dir, &environment).args(args).output().expect("the binary runs");
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        run(&whole, &["ca", "init"]);
        run(&whole, &["ca", "issue", "demo"]);
        let to = split.display().to_string();
        run(
            &whole,
            &["split-secrets", "--to", &to, "--owner", "main-server=61001:61001", "--owner", "proxy=61002:61002"],
        );
        std::fs::rename(whole.join("message-broker.db"), split.join("main-server/message-broker.db")).expect("moved");
        std::os::unix::fs::chown(split.join("main-server/message-broker.db"), Some(61001), Some(61001)).expect("given");
        open_to_all(&split);
        let (server_dir, proxy_dir) = (split.join("main-server"), split.join("proxy"));
        let _server = Process::start("main-server", "61001", &server_dir, &environment);
        let _proxy = Process::start("proxy", "61002", &proxy_dir, &environment);
        let logs =
            || ["main-server", "proxy"].map(|role| std::fs::read_to_string(split.join(role).with_extension("log")));
        let give_up = Instant::now() + PATIENCE;
        let ready = || Connection::anonymous(&whole, ports.proxy).and_then(|mut proxy| proxy.get("/health/ready"));
        while !ready().is_ok_and(|answer| answer.status == 200) {
            assert!(Instant::now() < give_up, "not ready: {:?}", logs());
            std::thread::sleep(Duration::from_millis(50));
        }
        submit(&mut Connection::client(&whole, ports.proxy, "demo").expect("connected"), "accepted");
        // The main server goes on by itself as well: its commands, its keys, its database.
        assert!(run(&server_dir, &["keys", "list"]).contains("active"));
    }

    /// So that only the roles' own directories keep others out.
    fn open_to_all(path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("opened");
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_can_write_into_the_data_directory_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("temporary folder");
    let ports = crate::harness::Ports::spare();
    let mut child = Command::new("sh")
        .args(["-c", "umask 000; exec \"$0\" up", &crate::harness::binary()])
        .env("MB_DATA_DIR", dir.path())
        .envs(ports.environment())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the shell runs");
    let give_up = Instant::now() + PATIENCE;
    let accepted = || {
        let mut demo = crate::http::Connection::client(dir.path(), ports.proxy, "demo")?;
        demo.post("/api/v1/messages", &crate::harness::message("x")).map(|answer| answer.status)
    };
    while accepted().map_or(0, |status| status) != 202 && Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(50));
    }
    let mode = |path: &Path| std::fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    let files = crate::harness::files(dir.path());
    let folders = files.iter().filter_map(|path| path.parent()).collect::<std::collections::BTreeSet<_>>();
    let open: Vec<_> = files
        .iter()
        .map(std::path::PathBuf::as_path)
        .chain(folders)
        // What is rolled or compacted meanwhile is there no more.
        .filter_map(|path| Some((path, mode(path).ok()?)))
        .filter(|(_, mode)| mode & 0o022 != 0)
        .collect();
    let closed = ["secrets", "journal", "proxy", "locks"].map(|folder| mode(&dir.path().join(folder)).expect("there"));
    let _ = child.kill();
    let _ = child.wait();
    assert!(files.iter().any(|path| path.starts_with(dir.path().join("journal"))), "it has run: {files:?}");
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(closed, [0o700; 4]);
    // What somebody has opened since is refused, as an open key is.
    let certs = dir.path().join("certs");
    std::fs::set_permissions(&certs, std::fs::Permissions::from_mode(0o777)).expect("opened");
    let output = command(dir.path(), &ports.environment()).arg("up").output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("others can write into"), "{said}");
}

//! docs/operating.md is true: its commands are run as they stand there, on servers of the test's own, below a folder that
//! stands for `/`.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::servers::spare_port;
use crate::harness::{Ports, binary};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What stands for programs that would change this machine: packages are there, the program is built, and services are
/// started here with the settings that the page has put in place.
const PRELUDE: &str = r#"
set -euo pipefail
cd "$ROOT"
mkdir -p "$P/mysql" "$P/redis" "$P/etc/redis" "$P/usr/local/bin" "$P/tmp"
export TMPDIR="$P/tmp"
echo "dir $P/redis" > "$P/etc/redis/redis.conf"
mariadb-install-db --no-defaults --user=root --auth-root-authentication-method=normal --skip-test-db \
  --datadir="$P/mysql" > "$P/log" 2>&1
export PATH="$P/usr/local/bin:$PATH"
finish() { jobs -p | xargs --no-run-if-empty kill -9; }
trap finish EXIT
apt-get() { :; }
cargo() { :; }
client() { command mariadb --no-defaults --batch --skip-column-names "$@"; }
mariadb() { client --user=root --socket="$P/s" "$@"; }
systemctl() {
  mariadbd --defaults-file="$P/etc/mysql/mariadb.conf.d/90-message-broker.cnf" --user=root --datadir="$P/mysql" \
    --socket="$P/s" --pid-file="$P/pid" --port="$DB_PORT" >> "$P/log" 2>&1 &
  redis-server "$P/etc/redis/redis.conf" --port "$REDIS_PORT_HERE" >> "$P/log" 2>&1 &
  until mariadb --execute "SELECT 1" > /dev/null 2>&1; do sleep 0.1; done
}
"#;

/// The message of the page is there, and the database's user may do nothing that the product does not.
const EPILOGUE: &str = r#"
test "$(mariadb --execute "SELECT status FROM message_system.messages")" = delivered
product() { client --user=systemuser --password="$DB_PASSWORD" --host=127.0.0.1 --port="$DB_PORT" "$@"; }
product --execute "SELECT 1 FROM message_system.settings LIMIT 1"
for refused in "CREATE USER other" "CREATE DATABASE other" "SELECT user FROM mysql.user" "SET GLOBAL sync_binlog = 0" \
  "GRANT SELECT ON message_system.* TO systemuser@localhost" "SELECT 1 INTO OUTFILE '$P/out'" "SHUTDOWN"; do
  if product --execute "$refused" 2>> "$P/log"; then echo "the user may: $refused"; exit 1; fi
done
echo "all of it was run"
"#;

/// The shell blocks of the page, one after the other.
fn commands() -> String {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/operating.md")).expect("the page is there");
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().expect("a block ends"));
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commands_of_the_page_bring_the_four_services_up() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let prefix = dir.path().display().to_string();
    let (ports, database, redis) = (Ports::spare(), spare_port().to_string(), spare_port().to_string());
    // The template with spare ports; nothing else of it is changed.
    let template =
        std::fs::read_to_string(Path::new(ROOT).join("deployment/config/.env.template")).expect("it is there");
    let numbers = [
        ("3306", database.clone()),
        ("6379", redis.clone()),
        ("8000", ports.server.to_string()),
        ("8001", ports.proxy.to_string()),
        ("5000", ports.portal.to_string()),
        ("9100", ports.worker.to_string()),
    ];
    let template = numbers.iter().fold(template, |text, (usual, spare)| text.replace(usual, spare));
    std::fs::write(dir.path().join("env.template"), template).expect("written");
    // All that is put in place of what stands on the page.
    let places = [
        ("deployment/config/.env.template", format!("{prefix}/env.template")),
        ("target/release/message-broker", binary()),
        (" /etc/", format!(" {prefix}/etc/")),
        ("/usr/local/bin/", format!("{prefix}/usr/local/bin/")),
        ("/var/lib/", format!("{prefix}/var/lib/")),
        (":8001", format!(":{}", ports.proxy)),
    ];
    let page = commands();
    let run = places.iter().fold(page, |text, (there, here)| {
        assert!(text.contains(there), "the page no longer names {there}");
        text.replace(there, here)
    });
    let output = Command::new("timeout")
        .args(["--kill-after=5", "150", "bash", "-c", &format!("{PRELUDE}\n{run}\n{EPILOGUE}")])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .envs([("P", prefix.as_str()), ("ROOT", ROOT), ("DB_PORT", &database), ("REDIS_PORT_HERE", &redis)])
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("all of it was run"), "{said}");
}

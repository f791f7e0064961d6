//! The OpenAPI document and what really comes: served, printed and committed alike, and nothing answered that it does not
//! name.

use crate::harness::Broker;
use crate::http::Connection;

#[test]
fn the_document_is_printed_and_served_alike() {
    let broker = Broker::start();
    let mut anybody = Connection::anonymous(broker.dir(), broker.ports.server).expect("connected");
    let served = anybody.get("/openapi.json").expect("answered");
    assert_eq!((served.status, served.text()), (200, broker.run_ok(&["openapi"])));
    let page = anybody.get("/docs").expect("answered");
    assert!(page.text().contains("POST") || page.text().contains("post"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

/// Requests made up from the document, valid and not, as an admin to the main server and as a client to the proxy.
mod needs_schemathesis {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use crate::harness::Broker;

    /// Where `cargo xtask test` installs it, else the search path.
    fn program() -> PathBuf {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/schemathesis/bin/schemathesis");
        if own.is_file() { own } else { PathBuf::from("schemathesis") }
    }

    /// Sends bodies of types that it does not know as they were made up.
    const HOOKS: &str = r#"
import schemathesis

@schemathesis.serializer("application/x-ndjson", "application/x-pem-file", "application/vnd.message-broker.handover")
def as_it_is(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
"#;

    fn check(broker: &Broker, port: u16, certificate: &str, which: &[&str]) {
        let certs = broker.dir().join("certs");
        let document = broker.dir().join("openapi.json");
        std::fs::write(&document, broker.run_ok(&["openapi"])).expect("written");
        std::fs::write(broker.dir().join("hooks.py"), HOOKS).expect("written");
        let output = Command::new(program())
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .arg("run")
            .arg(&document)
            .args(["--url", &format!("https://localhost:{port}")])
            .arg("--tls-verify")
            .arg(certs.join("ca.crt"))
            .arg("--request-cert")
            .arg(certs.join(format!("{certificate}.crt")))
            .arg("--request-cert-key")
            .arg(certs.join(format!("{certificate}.key")))
            .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
            .args(["--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "1"])
            .args(["--generation-database", "none", "--request-timeout", "45", "--no-color"])
            .args(which)
            .current_dir(broker.dir())
            .output()
            .expect("schemathesis runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("passed"), "nothing was asked: {text}");
    }

    #[test]
    fn the_main_server_answers_nothing_that_the_document_does_not_name() {
        let broker = Broker::start();
        // A revocation could hit the certificate that asks, the policy is a poll of 30 s and a stream does not end; all have
        // tests of their own.
        let left_out = "^(/api/|/internal/policy|/portal/messages/stream|/admin/certificates/revoke)";
        check(&broker, broker.ports.server, "admin", &["--exclude-path-regex", left_out]);
        // What a portal alone may ask.
        check(&broker, broker.ports.server, "portal", &["--include-path-regex", "^/internal/sessions"]);
    }

    #[test]
    fn the_proxy_answers_nothing_that_the_document_does_not_name() {
        let broker = Broker::start();
        check(&broker, broker.ports.proxy, "clients/demo/demo", &["--include-path-regex", "^/api/"]);
    }
}

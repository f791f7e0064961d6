//! What a TLS scanner says of every port that takes connections from elsewhere.

mod needs_sslyze {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::Value;

    use crate::harness::Broker;

    /// Where `cargo xtask test` installs it, else the search path.
    fn program() -> PathBuf {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/sslyze/bin/sslyze");
        if own.is_file() { own } else { PathBuf::from("sslyze") }
    }

    /// Names of the suites that a port takes in a version of the protocol.
    fn accepted(scan: &Value, version: &str) -> Vec<String> {
        let suites = &scan[version]["result"]["accepted_cipher_suites"];
        let suites = suites.as_array().unwrap_or_else(|| panic!("{version} was not looked at: {scan}")).iter();
        suites.map(|suite| suite["cipher_suite"]["name"].as_str().expect("a name").to_owned()).collect()
    }

    #[test]
    fn no_port_has_a_finding_of_protocol_or_cipher() {
        let broker = Broker::start();
        let report = broker.dir().join("scan.json");
        let ports = [broker.ports.server, broker.ports.proxy, broker.ports.portal];
        let output = Command::new(program())
            .args(["--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--heartbleed"])
            .args(["--robot", "--compression", "--reneg", "--openssl_ccs", "--early_data", "--resum"])
            .args(["--mozilla_config", "disable", "--json_out"])
            .arg(&report)
            .args(ports.map(|port| format!("localhost:{port}")))
            .output()
            .expect("sslyze runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&report).expect("a report")).expect("JSON");
        let servers = report["server_scan_results"].as_array().expect("results");
        assert_eq!(servers.len(), ports.len(), "{said}");
        for server in servers {
            let scan = &server["scan_result"];
            for old in
                ["ssl_2_0_cipher_suites", "ssl_3_0_cipher_suites", "tls_1_0_cipher_suites", "tls_1_1_cipher_suites"]
            {
                assert!(accepted(scan, old).is_empty(), "{old}: {said}");
            }
            for suite in accepted(scan, "tls_1_2_cipher_suites") {
                let forward = suite.starts_with("TLS_ECDHE_");
                let sealed = suite.contains("_GCM_") || suite.contains("CHACHA20_POLY1305");
                assert!(forward && sealed, "{suite}");
            }
            assert!(!accepted(scan, "tls_1_3_cipher_suites").is_empty(), "{said}");
            let result = |name: &str| &scan[name]["result"];
            assert_eq!(result("heartbleed")["is_vulnerable_to_heartbleed"], false, "{said}");
            assert_eq!(result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"], false, "{said}");
            assert_eq!(result("tls_compression")["supports_compression"], false, "{said}");
            assert_eq!(result("tls_1_3_early_data")["supports_early_data"], false, "{said}");
            let renegotiation = result("session_renegotiation");
            assert_eq!(renegotiation["is_vulnerable_to_client_renegotiation_dos"], false, "{said}");
            for way in ["session_id_resumption_result", "tls_ticket_resumption_result"] {
                assert_eq!(result("session_resumption")[way], "NOT_SUPPORTED", "{way}: {said}");
            }
        }
    }
}

//! What happens to the server itself: it is killed, comes back, and is spoken to in secret.

use mb_core::Clock;
use mb_store::{Store, StoreError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::alone_server::{Server, write};
use crate::fixture::{NOW, batch, id, message};
use crate::server::process::Place;
use crate::server::{Product, administer};

async fn open(server: &Server, options: &str) -> Result<Store, StoreError> {
    let address = format!("mysql://root@localhost:{}/broker{options}", server.port);
    Store::open(&address, Clock::manual(NOW)).await
}

pub(crate) async fn a_killed_server_keeps_what_was_answered_and_is_met_again(product: Product) {
    let mut server = Server::start(product, "killed", |_| Vec::new());
    administer(server.port, "CREATE DATABASE broker").await;
    let store = open(&server, "").await.expect("opens");
    store.migrate().await.expect("migrates");
    store.register(batch((0..300).map(message).collect())).await.expect("registers");
    server.kill();
    let refused = store.register(batch(vec![message(300)])).await.expect_err("nobody answers");
    assert!(refused.is_passing(), "{refused}");
    assert!(store.check().await.is_err());
    server.start_again();
    // The very next call of each kind meets the new process.
    store.register(batch(vec![message(301)])).await.expect("registers");
    store.check().await.expect("is well");
    store.audit("root", "thing.do", "it", serde_json::json!({})).await.expect("records");
    let ids = (0..302).map(id).collect::<Vec<_>>();
    assert_eq!(store.lacking(&ids).await.expect("reads").1, [id(300)]);
    store.close().await;
}

/// Who may vouch for a server, and what it vouches with.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("generates");
        let pem = params.self_signed(&key).expect("signs").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The options of a server whose name is `localhost`.
    fn vouch(&self, product: Product, place: &Place) -> Vec<String> {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid");
        let key = KeyPair::generate().expect("generates");
        let certificate = params.signed_by(&key, &self.issuer).expect("signs").pem();
        let files = [("ca", self.pem.clone()), ("cert", certificate), ("key", key.serialize_pem())];
        files
            .map(|(name, text)| format!("--ssl-{name}={}", write(product, place, &format!("{name}.pem"), &text)))
            .to_vec()
    }
}

pub(crate) async fn a_server_is_known_by_its_authority_and_name(product: Product) {
    let authority = Authority::new();
    let server = Server::start(product, "secret", |place| authority.vouch(product, place));
    administer(server.port, "CREATE DATABASE broker").await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, authority: &Authority| {
        let path = directory.path().join(name);
        std::fs::write(&path, &authority.pem).expect("writes");
        path.display().to_string()
    };
    let (ours, another) = (file("ours.pem", &authority), file("another.pem", &Authority::new()));
    let store = open(&server, &format!("?ssl-ca={ours}")).await.expect("is the one");
    store.migrate().await.expect("migrates");
    open(&server, &format!("?ssl-mode=verify-ca&ssl-ca={ours}")).await.expect("is vouched for");
    open(&server, "?ssl-mode=required").await.expect("speaks in secret");
    for options in [format!("?ssl-ca={another}"), format!("?ssl-mode=VERIFY_CA&ssl-ca={another}")] {
        let error = open(&server, &options).await.expect_err("nobody vouches for it");
        assert!(error.is_passing(), "{error}");
    }
    let elsewhere = format!("mysql://root@127.0.0.1:{}/broker?ssl-ca={ours}", server.port);
    Store::open(&elsewhere, Clock::manual(NOW)).await.expect_err("that is not its name");
}

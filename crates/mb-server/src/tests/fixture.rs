//! A main server in the process, over a store of its own, and the proxy that seals for it.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use bytes::Bytes;
use mb_api::client::{Client, Transport};
use mb_api::dto::RegisterResult;
use mb_api::dto::delivery::RegisterQuery;
use mb_api::{Peer, paths};
use mb_core::envelope::SignedKey;
use mb_core::handover::Batch;
use mb_core::policy::MasterPublicKey;
use mb_core::{
    ClientName, Clock, Content, DomainName, Header, MessageId, RetrySchedule, Role, Secret, Timestamp, Topic,
};
use mb_crypto::ca::{Ca, Issued};
use mb_crypto::data_key::{SealingKey, Signer};
use mb_crypto::jwt::JwtSecret;
use mb_crypto::master::MasterKey;
use mb_crypto::pem;
use mb_runtime::app::AppConfig;
use mb_runtime::lifecycle::Lifecycle;
use mb_runtime::metrics::Metrics;
use mb_store::Store;
use sqlx::Connection;
use tokio_util::sync::CancellationToken;

use crate::authority::Order;
use crate::{MailConfig, MainServer, Parts, PeopleConfig};

pub(super) const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);

pub(super) struct Fixture {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) server: MainServer,
    pub(super) proxy: Issued,
    pub(super) key: Key,
    pub(super) app: mb_runtime::app::App,
    pub(super) ca_key: Secret<String>,
    pub(super) metrics: Metrics,
    _lifecycle: Lifecycle,
    master: MasterPublicKey,
    /// The CA certificate and the master key, which all main servers of a store share.
    secrets: (String, Secret<String>),
    directory: tempfile::TempDir,
}

/// Another main server of a fixture's store.
pub(super) struct Second {
    pub(super) app: Arc<crate::app::App>,
    service: mb_runtime::app::App,
}

impl Second {
    pub(super) fn client_of(&self, peer: Peer) -> Client {
        Client::new(Transport::in_process(self.service.clone(), peer))
    }
}

/// A data key and its record.
pub(super) struct Key {
    pub(super) sealing: SealingKey,
    pub(super) record: SignedKey,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with_mail(MailConfig::default()).await
    }

    pub(super) async fn with_mail(mail: MailConfig) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Clock::manual(NOW);
        let address = directory.path().join("store.db").display().to_string();
        let store = Store::open(&address, clock.clone()).await.expect("opens");
        store.migrate().await.expect("migrates");
        let ca = Ca::create("test CA", NOW).expect("a CA");
        let ca_key = ca.private_key_pem();
        let master = MasterKey::generate().expect("a key");
        let public = master.public();
        let mut metrics = Metrics::new();
        let secrets = (ca.certificate_pem().to_owned(), master.to_text());
        let parts = Parts { mail, ..parts(&store, &clock, ca, master, directory.path(), "audit.head") };
        let server = MainServer::open(parts, &mut metrics).await.expect("opens");
        let config = AppConfig { sharing: crate::SHARING, ..AppConfig::new(Role::Server, paths::SERVER) };
        let app = mb_runtime::app::App::new(config, server.router(), &mut metrics);
        let lifecycle = Lifecycle::new();
        crate::people::start(&server.app, &lifecycle);
        let proxy = issue(&server, "proxy", Role::Proxy).await;
        let key = new_key(&public, &proxy, NOW);
        Self {
            clock,
            store,
            server,
            proxy,
            key,
            app,
            ca_key,
            metrics,
            _lifecycle: lifecycle,
            master: public,
            secrets,
            directory,
        }
    }

    /// Another main server of the same store.
    pub(super) async fn second(&self) -> Second {
        let (ca_pem, master) = &self.secrets;
        let ca = Ca::load(ca_pem, self.ca_key.expose()).expect("the CA");
        let master = MasterKey::from_text(master.expose()).expect("the key");
        let mut metrics = Metrics::new();
        let parts = parts(&self.store, &self.clock, ca, master, self.directory.path(), "second.head");
        let server = MainServer::open(parts, &mut metrics).await.expect("opens");
        let config = AppConfig::new(Role::Server, paths::SERVER);
        let service = mb_runtime::app::App::new(config, server.router(), &mut metrics);
        Second { app: server.app, service }
    }

    /// A client of the main server with a new certificate of `role`.
    pub(super) async fn client(&self, role: Role) -> Client {
        let issued = self.issue(&format!("a-{role}"), role).await;
        self.client_of(Peer::in_process(Arc::new(issued.identity)))
    }

    pub(super) fn client_of(&self, peer: Peer) -> Client {
        Client::new(Transport::in_process(self.app.clone(), peer))
    }

    pub(super) async fn issue(&self, name: &str, role: Role) -> Issued {
        issue(&self.server, name, role).await
    }

    /// A data key that `proxy` makes now.
    pub(super) fn new_key(&self, proxy: &Issued) -> Key {
        new_key(&self.master, proxy, self.clock.now())
    }

    /// What the main server answers to these envelopes and these key records.
    pub(super) async fn register_with(&self, records: &[&SignedKey], envelopes: &[Vec<u8>]) -> Vec<RegisterResult> {
        let keys = records.iter().map(|record| record.encode()).collect::<Vec<_>>();
        let batch = Batch {
            keys: keys.iter().map(Vec::as_slice).collect(),
            envelopes: envelopes.iter().map(Vec::as_slice).collect(),
        };
        let mut body = Vec::new();
        batch.encode(&mut body);
        let worker = self.client(Role::Worker).await;
        let answer = worker.register(Bytes::from(body), &RegisterQuery::default(), None).await.expect("answers");
        assert_eq!(answer.epoch.as_bytes(), &self.store.epoch().await.expect("reads"));
        answer.results
    }

    /// The same with the record of the proxy's first key.
    pub(super) async fn register(&self, envelopes: &[Vec<u8>]) -> Vec<RegisterResult> {
        self.register_with(&[&self.key.record], envelopes).await
    }

    /// Where the audit log's end is kept.
    pub(super) fn head_file(&self) -> std::path::PathBuf {
        self.directory.path().join("audit.head")
    }

    /// Changes the database behind the store's back.
    pub(super) async fn execute(&self, sql: &str) {
        let path = self.directory.path().join("store.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("opens");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("executes");
        connection.close().await.expect("closes");
    }

    /// The first column of what a statement finds, as bytes.
    pub(super) async fn execute_text(&self, sql: &str) -> Vec<Vec<u8>> {
        let path = self.directory.path().join("store.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("opens");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("reads");
        rows.iter().map(|row| sqlx::Row::get::<Vec<u8>, _>(row, 0)).collect()
    }

    /// The ids and reasons of all dead letters, newest first.
    pub(super) async fn dead_letters(&self) -> Vec<(MessageId, String)> {
        let letters = self.store.dead_letters(None, 100).await.expect("reads");
        letters.into_iter().map(|letter| (letter.message_id, letter.reason)).collect()
    }
}

fn parts(store: &Store, clock: &Clock, ca: Ca, master: MasterKey, place: &std::path::Path, head: &str) -> Parts {
    Parts {
        store: store.clone(),
        authorities: ca.into(),
        master: master.into(),
        audit_head: Some(place.join(head)),
        jwt: JwtSecret::generate(),
        own_names: vec!["broker.example".into(), "LOCALHOST".into()],
        people: PeopleConfig { portal_url: "https://portal.example".into() },
        retry: RetrySchedule::default(),
        mail: MailConfig::default(),
        installation: super::installation::described(),
        backup: crate::backup::tests::config(place),
        clock: clock.clone(),
        instance: "test".into(),
        reporter: mb_core::KeyId::from_bytes([6; 16]),
        lease: std::time::Duration::from_secs(30),
        proxies: Vec::new(),
        stopping: CancellationToken::new(),
    }
}

async fn issue(server: &MainServer, name: &str, role: Role) -> Issued {
    let order = Order { name: name.into(), role, domain: None, sans: Vec::new(), validity: None };
    server.authority().issue(order, "test").await.expect("issues")
}

pub(super) fn new_key(master: &MasterPublicKey, proxy: &Issued, now: Timestamp) -> Key {
    let signer = Signer::from_pem(&proxy.certificate_pem, proxy.private_key_pem.expose()).expect("a proxy");
    let (sealing, record) = SealingKey::new(master, &signer, now).expect("a data key");
    Key { sealing, record }
}

impl Key {
    /// The header of a message under this key, made now.
    pub(super) fn header(&self, id: MessageId) -> Header {
        Header {
            message_id: id,
            key_id: self.sealing.key_id(),
            queued_at: NOW,
            deliver_at: None,
            expires_at: None,
            client: ClientName::parse("demo").expect("valid"),
            domain: DomainName::default(),
            topic: Topic::default(),
        }
    }

    pub(super) fn seal(&self, header: &Header, body: &str) -> Vec<u8> {
        let content = Content { sender_number: Some("+4915112345678"), body, metadata: None };
        let mut envelope = Vec::new();
        self.sealing.seal(header, &content, &mut envelope).expect("seals");
        envelope
    }

    /// An ordinary message.
    pub(super) fn message(&self, n: u8) -> Vec<u8> {
        self.seal(&self.header(id(n)), "hello")
    }

    /// The record, signed anew by whoever holds this certificate, whatever its role.
    pub(super) fn signed_by(&self, issued: &Issued) -> SignedKey {
        let certificate = pem::certificates(&issued.certificate_pem).expect("a certificate").swap_remove(0);
        let private = pem::private_key(issued.private_key_pem.expose()).expect("a key");
        let signer = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, private.secret_der());
        let mut record = SignedKey { certificate: certificate.to_vec(), ..self.record.clone() };
        let to_sign = [b"mb-data-key-1\0".as_slice(), &record.signed_bytes()].concat();
        let signature = signer.expect("P-256").sign(&SystemRandom::new(), &to_sign).expect("signs");
        record.signature = signature.as_ref().to_vec();
        record
    }
}

/// An id as proxies make them (version 7).
pub(super) fn id(n: u8) -> MessageId {
    let mut bytes = [0; 16];
    (bytes[5], bytes[6], bytes[8], bytes[15]) = (1, 0x70, 0x80, n);
    MessageId::from_bytes(bytes)
}

pub(super) fn refused(code: &'static str) -> RegisterResult {
    RegisterResult::Refused(code.into())
}

pub(super) fn quarantined(reason: &'static str) -> RegisterResult {
    RegisterResult::Quarantined(reason.into())
}

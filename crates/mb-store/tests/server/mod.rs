//! Real database servers for tests, started where they are needed.
//!
//! Most tests share one server of each kind, each in a database of its own: the first test that needs it starts it under
//! a lock, whichever process it runs in, and a keeper ends it soon after the last one has let go. What a test does to a
//! server as a whole, such as killing it, it does to one of its own. Servers listen on loopback alone, keep their files in
//! the temporary directory and are set up badly on purpose: another time zone, no strictness, folding text.

pub(crate) mod process;
mod shared;

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};

/// Whose server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Product {
    MariaDb,
    /// The one that `xtask/mysql.sh` unpacks.
    MySql,
}

/// A database of its own on a server that others use too; it goes with the value.
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) port: u16,
    _using: shared::Using,
}

static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// An empty database.
    pub(crate) async fn create(product: Product) -> Self {
        let using = tokio::task::spawn_blocking(move || shared::Using::start(product)).await.expect("starts");
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{number}", std::process::id());
        let database = Self { name, port: using.port, _using: using };
        administer(database.port, &format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    /// Its address for the server's own administrator.
    pub(crate) fn address(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/{}", self.port, self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (port, sql) = (self.port, format!("DROP DATABASE {}", self.name));
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(administer(port, &sql));
        };
        drop(std::thread::spawn(work).join());
    }
}

/// Runs statements as the server's administrator.
pub(crate) async fn administer(port: u16, sql: &str) {
    let address = format!("mysql://root@127.0.0.1:{port}/");
    let mut connection = MySqlConnection::connect(&address).await.expect("the server answers");
    connection.execute(AssertSqlSafe(sql.to_owned())).await.expect("the administrator may");
}

//! The account that the shipped statements make: it may do what the store does, and nothing elsewhere.

use mb_core::Clock;
use mb_store::Store;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};

use crate::alone_server::Server;
use crate::fixture::{NOW, batch, message};
use crate::server::{Product, administer};

const SHIPPED: &str = include_str!("../../../../deployment/config/database.sql");

pub(crate) async fn the_shipped_account_may_what_the_store_does_and_no_more(product: Product) {
    let server = Server::start(product, "account", |_| Vec::new());
    for statement in SHIPPED.replace("replace-me", "a long Word 7").split(';').map(str::trim) {
        if statement.lines().any(|line| !line.is_empty() && !line.starts_with("--")) {
            administer(server.port, statement).await;
        }
    }
    // Without it an account of MySQL's signs in from nowhere but a socket; MariaDB has no certificate of its own.
    let options = if product == Product::MySql { "?ssl-mode=required" } else { "" };
    let port = server.port;
    let address = |database| format!("mysql://systemuser:a%20long%20Word%207@localhost:{port}/{database}{options}");
    let store = Store::open(&address("message_system"), Clock::manual(NOW)).await.expect("signs in");
    store.migrate().await.expect("migrates");
    store.register(batch((0..300).map(message).collect())).await.expect("registers");
    store.close().await;
    let address = address("message_system").replace("ssl-mode=required", "ssl-mode=REQUIRED");
    let mut connection = MySqlConnection::connect(&address).await.expect("signs in");
    for forbidden in [
        "CREATE DATABASE elsewhere",
        "SELECT * FROM mysql.user",
        "SELECT message_id FROM messages INTO OUTFILE '/tmp/stolen'",
        "GRANT SELECT ON message_system.* TO 'root'@'localhost'",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        "CREATE USER 'another'@'localhost'",
        "DROP DATABASE mysql",
    ] {
        connection.execute(AssertSqlSafe(forbidden)).await.expect_err(forbidden);
    }
}

//! How often registering asks a server: every question is a trip over the network, and few of them carry a whole batch.

use mb_core::Clock;
use mb_store::Store;
use sqlx::{Connection as _, MySqlConnection, Row as _};

use crate::alone_server::Server;
use crate::fixture::{NOW, batch, data_key, message};
use crate::server::{Product, administer};

/// What a thousand messages cost more than one: they go in by statements of 256, 64, 16 and 4 rows.
const MORE: u64 = 3 + 3 + 2 + 2;

pub(crate) async fn a_thousand_messages_take_a_few_questions_more_than_one(product: Product) {
    let server = Server::start(product, "trips", |_| Vec::new());
    administer(server.port, "CREATE DATABASE broker").await;
    let address = format!("mysql://root@localhost:{}/broker", server.port);
    let store = Store::open(&address, Clock::manual(NOW)).await.expect("opens");
    store.migrate().await.expect("migrates");
    let mut beside = MySqlConnection::connect(&address).await.expect("connects");
    let mut next = 0;
    let mut cost = async |messages: u32| {
        let mut least = u64::MAX;
        // A connection that is made for a call asks for its settings; the next call finds it made.
        for _ in 0..5 {
            let before = questions(&mut beside).await;
            let call = mb_store::RegisterBatch {
                keys: vec![data_key(9, "key")],
                ..batch((next..next + messages).map(message).collect())
            };
            store.register(call).await.expect("registers");
            least = least.min(questions(&mut beside).await - before - 1);
            next += messages;
        }
        least
    };
    let (one, thousand) = (cost(1).await, cost(1000).await);
    assert_eq!(thousand, one + MORE - 1);
    assert!(one <= 8, "{one}");
    assert_eq!((cost(1).await, cost(1000).await), (one, thousand), "however many there are");
    store.close().await;
}

/// The statements that clients of the server have sent; asking is one more.
async fn questions(beside: &mut MySqlConnection) -> u64 {
    let row = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Questions'").fetch_one(beside).await.expect("answers");
    row.get::<String, _>(1).parse().expect("a number")
}

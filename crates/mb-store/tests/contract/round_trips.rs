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
    let mut costs = Vec::new();
    for numbers in [0..1, 1000..1001, 2000..3000, 3000..4000, 4000..4001] {
        let before = questions(&mut beside).await;
        let call = mb_store::RegisterBatch { keys: vec![data_key(9, "key")], ..batch(numbers.map(message).collect()) };
        store.register(call).await.expect("registers");
        costs.push(questions(&mut beside).await - before - 1);
    }
    // The first call counts what comes before the first one ever.
    let [_, one, thousand, again, last] = costs[..] else { panic!("{costs:?}") };
    assert_eq!((thousand, again, last), (one + MORE - 1, thousand, one), "{costs:?}");
    assert!(one <= 8, "{costs:?}");
    store.close().await;
}

/// The statements that clients of the server have sent; asking is one more.
async fn questions(beside: &mut MySqlConnection) -> u64 {
    let row = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Questions'").fetch_one(beside).await.expect("answers");
    row.get::<String, _>(1).parse().expect("a number")
}

//! Every hot statement goes by an index that is made for it, on many rows.

use std::fmt::Write as _;

use super::*;
use crate::audit_list;
use crate::deliveries::{EXPIRED, HELD, KNOWN, OF_CLOSED, OF_MESSAGES, TAKE};
use crate::many_rows;
use crate::message_list::{FULL, candidates};
use crate::messages::{DEAD_STATUSES, EXISTING, LACKING, MESSAGE, PRESENT, STATUSES};
use crate::newest::NEWEST;
use crate::retention::{DONE_WITH, LETTERS_OF_DOMAIN, LETTERS_OF_NOBODY, OLDEST};
use mb_core::{MessageId, Timestamp};

/// How many rows the bounds below were made for: 204,800.
const DOUBLINGS: u32 = 11;

const COLUMNS: &str =
    "client_id, domain, topic, queued_at, key_id, sender_number_hashed, encrypted_body, status, registered_at";

/// Rows of ten domains and a hundred clients, spread over time.
async fn generate(database: &Database) {
    let mut rows = String::new();
    for n in 0..100 {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(
            rows,
            "{comma}(RANDOM_BYTES(16), 'client-{n}', 'domain-{}', 'default', '2026-11-01 00:00:00' + INTERVAL {n} SECOND, \
             RANDOM_BYTES(16), RANDOM_BYTES(32), RANDOM_BYTES(200), 'delivered', '2026-11-01 00:00:00')",
            n % 10
        );
    }
    let name = &database.name;
    let mut sql = format!("INSERT INTO {name}.messages (message_id, {COLUMNS}) VALUES {rows};");
    for doubling in 0..many_rows::doublings() {
        let _ = write!(
            sql,
            "INSERT INTO {name}.messages (message_id, {COLUMNS}) SELECT RANDOM_BYTES(16), client_id, domain, topic, \
             queued_at + INTERVAL {} SECOND, key_id, RANDOM_BYTES(32), encrypted_body, status, registered_at \
             FROM {name}.messages;",
            100 << doubling
        );
    }
    let _ = write!(
        sql,
        "INSERT INTO {name}.dead_letters (message_id, digest, reason, envelope, client_id, domain, topic, queued_at, \
         created_at) SELECT RANDOM_BYTES(16), sender_number_hashed, 'stale', encrypted_body, client_id, domain, topic, \
         queued_at, registered_at FROM {name}.messages LIMIT 20000;
         INSERT INTO {name}.tombstones (message_id, expunged_at) SELECT RANDOM_BYTES(16), queued_at \
         FROM {name}.messages LIMIT 20000;
         INSERT INTO {name}.audit_log (at, actor, action, object, detail) \
         SELECT queued_at, client_id, 'thing.do', domain, '{{}}' FROM {name}.messages LIMIT 20000;
         INSERT INTO {name}.domains (name, created_at) VALUES ('d', '2026-11-01 00:00:00');
         INSERT INTO {name}.destinations (id, domain, name, is_live, kind, state, url, topics, clients, retry, concurrency, \
         created_at, changed_at, breaker) SELECT seq, 'd', CONCAT('n', seq), 1, 'webhook', 'enabled', 'https://r/', '', '', \
         '5s', 8, queued_at, queued_at, '' FROM {name}.messages WHERE seq <= 100;
         INSERT INTO {name}.deliveries (message_id, destination_id, state, lane, due_at, expires_at, created_at) \
         SELECT message_id, 1 + seq % 100, 'open', seq % 2, IF(seq % 3 = 0, NULL, queued_at), \
         IF(seq % 5 = 0, queued_at, NULL), queued_at FROM {name}.messages LIMIT 200000;
         INSERT INTO {name}.attempts (message_id, attempt_id, destination_id, at, duration_us, class, worker) \
         SELECT message_id, message_id, 1 + seq % 100, queued_at, 1, 'taken', 'w' FROM {name}.messages LIMIT 100000;
         ANALYZE TABLE {name}.messages, {name}.dead_letters, {name}.audit_log, {name}.deliveries, {name}.attempts, \
         {name}.destinations, {name}.tombstones"
    );
    server::administer(database.port, &sql).await;
}

/// A step of a plan: the table, the index, and what else is said.
struct Step {
    table: String,
    key: Option<String>,
    rows: i64,
    extra: String,
}

async fn plan(store: &Store, sql: &str, values: &[Value<'_>]) -> Vec<Step> {
    let explain = AssertSqlSafe(format!("EXPLAIN /*!80032 FORMAT = TRADITIONAL */ {sql}")).into_sql_str();
    let (explain, values) = positional(explain, values.iter().copied());
    let arguments = mysql_arguments(values).unwrap();
    let rows = sqlx::query_with(explain, arguments).fetch_all(&mysql(store).pool).await.unwrap();
    let text = |row: &sqlx::mysql::MySqlRow, name| {
        sqlx::Row::try_get_unchecked::<Option<String>, _>(row, name).unwrap().unwrap_or_default()
    };
    // A number in one, text in the other.
    let number = |row: &sqlx::mysql::MySqlRow| {
        let number = sqlx::Row::try_get::<Option<String>, _>(row, "rows").map(|text| text?.parse::<i64>().ok());
        number.or_else(|_| sqlx::Row::try_get_unchecked(row, "rows")).unwrap().unwrap_or_default()
    };
    rows.iter()
        .map(|row| Step {
            table: text(row, "table"),
            key: Some(text(row, "key")).filter(|key| !key.is_empty()),
            rows: number(row),
            extra: text(row, "Extra"),
        })
        .collect()
}

/// The values of a list: a domain or client, an open range of time, a page.
fn list_values<'a>(scope: &'a str, sender: Value<'a>, ids: [Value<'a>; 2]) -> [Value<'a>; 14] {
    [
        Value::Text(scope),
        Value::Time(Timestamp::from_micros(i64::MIN)),
        Value::Time(Timestamp::from_micros(i64::MAX)),
        Value::Blob(&[0xff; 17]),
        Value::Int(51),
        Value::Null,
        Value::Null,
        sender,
        ids[0],
        ids[1],
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
    ]
}

pub(super) async fn hot_statements_go_by_the_index_that_is_made_for_them(product: Product) {
    let (store, database) = store(product).await;
    generate(&database).await;
    let ids = (0..300_u16).map(|n| MessageId::from_bytes([n.to_be_bytes()[1]; 16])).collect::<Vec<_>>();
    let by_ids = [Value::Ids(&ids), Value::Int(300), Value::Text("client-1")];
    let (low, high) = ([0x70_u8; 16], [0x71_u8; 16]);
    let range = [Value::Blob(&low), Value::Blob(&high)];
    let list = list_values("domain-1", Value::Null, [Value::Null; 2]);
    let client = list_values("client-1", Value::Null, [Value::Null; 2]);
    let sender = list_values("", Value::Blob(&[7; 32]), [Value::Null; 2]);
    let ranged = list_values("", Value::Null, range);
    // A part of all ids, and what the server guesses of groups, grow with the rows; nothing else does.
    let growth = 1_i64 << many_rows::doublings().saturating_sub(DOUBLINGS);
    let audit = [list[1], list[2], Value::Int(i64::MAX), Value::Int(51), Value::Text("client-1")];
    let now = Value::Time(Timestamp::from_micros(1_793_491_200_000_000));
    let due = [Value::Int(7), Value::Int(0), now, now, Value::Int(100)];
    let held = [by_ids[0], by_ids[1], Value::Text("w"), now];
    let closed = [now, Value::Int(100), Value::Int(7), Value::Int(0)];
    let newest = [client[0], client[1], Value::Int(1000)];
    let old = [list[0], Value::Time(Timestamp::default()), now, Value::Blob(&[]), Value::Int(1000)];
    let old_letters = [old[0], old[1], old[2], Value::Int(0), old[4]];
    let done = [by_ids[0], by_ids[1], now, now];
    let cases: [(&str, &[Value<'_>], &str, i64); 28] = [
        (NEWEST, &newest, "messages_client", i64::MAX),
        (LACKING.mysql, &by_ids, "PRIMARY", 1),
        (PRESENT.mysql, &by_ids, "messages_id", 2000),
        (EXISTING.mysql, &by_ids, "messages_id", 2000),
        (STATUSES.mysql, &by_ids, "messages_id", 2000),
        (DEAD_STATUSES.mysql, &by_ids, "dead_letters", 2000),
        (FULL.mysql, &by_ids, "messages_id", 2000),
        (MESSAGE, &[Value::Blob(&low)], "messages_id", 1),
        (TAKE.mysql, &due, "deliveries_due", i64::MAX),
        (HELD.mysql, &held, "PRIMARY", 2000),
        (OF_MESSAGES.mysql, &by_ids[..2], "PRIMARY", 2000),
        (KNOWN.mysql, &by_ids[..2], "attempts_", 2000),
        (EXPIRED, &closed[..2], "deliveries_expiry", i64::MAX),
        (OF_CLOSED, &closed, "deliveries_due", i64::MAX),
        (candidates::OF_DOMAIN, &list, "messages_domain", i64::MAX),
        (candidates::OF_CLIENT, &client, "messages_client", i64::MAX),
        (candidates::DEAD_OF_DOMAIN, &list, "dead_letters_domain", i64::MAX),
        (candidates::DEAD_OF_CLIENT, &client, "dead_letters_client", i64::MAX),
        (candidates::BY_ID, &ranged, "messages_id", 5000 * growth),
        (candidates::BY_SENDER.mysql, &sender, "messages_sender", 100),
        (candidates::DOMAINS.mysql, &list[2..3], "messages_domain", 1000 * growth),
        (OLDEST, &old, "messages_domain", i64::MAX),
        (DONE_WITH.mysql, &done, "messages_id", 2000),
        (LETTERS_OF_DOMAIN.mysql, &old_letters, "dead_letters_age", i64::MAX),
        (LETTERS_OF_NOBODY.mysql, &[Value::Int(0), Value::Int(100)], "dead_letters_age", i64::MAX),
        (audit_list::BY_TIME, &audit, "audit_log_at", i64::MAX),
        (audit_list::BY_ACTOR, &audit, "audit_log_actor", i64::MAX),
        (audit_list::BY_OBJECT, &audit, "audit_log_object", i64::MAX),
    ];
    let mut faults = Vec::new();
    for (sql, values, index, most) in cases {
        for (at, step) in plan(&store, sql, values).await.iter().enumerate() {
            let Step { table, key, rows, extra } = step;
            let wrong = key.is_none() && !table.is_empty() && !table.starts_with('<')
                || at == 0 && key.as_deref().is_some_and(|key| !key.starts_with(index))
                || at == 0 && rows > &most
                || extra.contains("filesort") && sql != DEAD_STATUSES.mysql;
            if wrong {
                faults.push(format!("{index}: {table} by {key:?}, {rows} rows, {extra}: {sql}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

-- What the first release stores: who may send, what was accepted, and what was done.
-- Times are microseconds since 1970 (UTC), ids are 16 bytes, names compare byte by byte.

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- The epoch is minted with the store: a proxy that sees another one offers again all that it keeps.
INSERT INTO settings (name, value) VALUES ('epoch', randomblob(16)), ('policy_version', x'0000000000000001');

CREATE TABLE domains (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE clients (
    name       TEXT    NOT NULL PRIMARY KEY,
    domain     TEXT    NOT NULL REFERENCES domains (name),
    status     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX clients_domain ON clients (domain, name);

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    client        TEXT    REFERENCES clients (name),
    active        INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
);

CREATE TABLE certificates (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    issuer            BLOB    NOT NULL,
    serial            BLOB    NOT NULL,
    fingerprint       TEXT    NOT NULL UNIQUE,
    name              TEXT    NOT NULL,
    role              TEXT    NOT NULL,
    domain            TEXT,
    not_before        INTEGER NOT NULL,
    not_after         INTEGER NOT NULL,
    certificate_pem   TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    revoked_at        INTEGER,
    revocation_reason TEXT,
    UNIQUE (issuer, serial)
);

CREATE INDEX certificates_name ON certificates (name, not_after);
CREATE INDEX certificates_revoked ON certificates (revoked_at);

CREATE TABLE data_keys (
    key_id        BLOB    NOT NULL PRIMARY KEY,
    master_key_id BLOB    NOT NULL,
    record        BLOB    NOT NULL,
    proxy_name    TEXT    NOT NULL,
    proxy_serial  BLOB    NOT NULL,
    created_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- No foreign key to clients: acceptance is decided at the edge alone. Rows lie in order of arrival, so that inserting
-- appends, whatever the ids look like.
CREATE TABLE messages (
    seq                  INTEGER PRIMARY KEY,
    message_id           BLOB    NOT NULL UNIQUE,
    client_id            TEXT    NOT NULL,
    domain               TEXT    NOT NULL,
    topic                TEXT    NOT NULL,
    queued_at            INTEGER NOT NULL,
    deliver_at           INTEGER,
    expires_at           INTEGER,
    key_id               BLOB    NOT NULL,
    sender_number_hashed BLOB,
    encrypted_body       BLOB    NOT NULL,
    status               TEXT    NOT NULL,
    attempt_count        INTEGER NOT NULL DEFAULT 0,
    registered_at        INTEGER NOT NULL,
    delivered_at         INTEGER,
    failed_at            INTEGER,
    last_error           TEXT
);

CREATE INDEX messages_domain ON messages (domain, queued_at);
CREATE INDEX messages_client ON messages (client_id, queued_at);

-- Hashes hit an index anywhere: one over all rows would write a page for nearly every message, the more the more rows
-- there are. Under every 16,384 rows by themselves, the pages that are written stay few; a search looks once into each.
CREATE INDEX messages_sender ON messages (seq >> 14, sender_number_hashed);

CREATE TABLE dead_letters (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id BLOB    NOT NULL,
    digest     BLOB    NOT NULL,
    reason     TEXT    NOT NULL,
    envelope   BLOB    NOT NULL,
    client_id  TEXT,
    domain     TEXT,
    topic      TEXT,
    queued_at  INTEGER,
    deliver_at INTEGER,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    UNIQUE (message_id, digest)
);

CREATE TABLE counters (
    instance TEXT    NOT NULL,
    hour     INTEGER NOT NULL,
    domain   TEXT    NOT NULL,
    event    TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (hour, domain, event, instance)
) WITHOUT ROWID;

CREATE TABLE audit_log (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    action TEXT    NOT NULL,
    object TEXT    NOT NULL,
    detail TEXT    NOT NULL
);

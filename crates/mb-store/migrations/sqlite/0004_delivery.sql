-- Delivery: where messages go, how far each has come, and what was tried.

-- is_live is 1, or NULL for one that was deleted: its deliveries still name it. A change of what routing asks for counts
-- the setting destinations_version up.
CREATE TABLE destinations (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    domain             TEXT    NOT NULL REFERENCES domains (name),
    name               TEXT    NOT NULL,
    is_live            INTEGER,
    kind               TEXT    NOT NULL,
    state              TEXT    NOT NULL,
    state_reason       TEXT,
    url                TEXT    NOT NULL,
    topics             TEXT    NOT NULL,
    clients            TEXT    NOT NULL,
    retry              TEXT    NOT NULL,
    concurrency        INTEGER NOT NULL,
    rate               INTEGER,
    secret             BLOB,
    previous_secret    BLOB,
    previous_until     INTEGER,
    ca                 TEXT,
    client_certificate TEXT,
    client_key         BLOB,
    created_at         INTEGER NOT NULL,
    changed_at         INTEGER NOT NULL,
    breaker            TEXT    NOT NULL,
    breaker_until      INTEGER,
    UNIQUE (domain, name, is_live)
);

INSERT INTO settings (name, value) VALUES ('destinations_version', x'0000000000000001');

-- due_at is when it may be tried next, or when its lease ends; NULL once it is final. Fresh ones (lane 0) and those that
-- were tried before (lane 1) wait apart, so that neither keeps the other from its turn. expires_at is NULL once final.
CREATE TABLE deliveries (
    message_id     BLOB    NOT NULL,
    destination_id INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    lane           INTEGER NOT NULL,
    due_at         INTEGER,
    expires_at     INTEGER,
    attempts       INTEGER NOT NULL DEFAULT 0,
    lease_id       BLOB,
    leased_by      TEXT,
    last_error     TEXT,
    created_at     INTEGER NOT NULL,
    finished_at    INTEGER,
    PRIMARY KEY (message_id, destination_id)
) WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (destination_id, lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_expiry ON deliveries (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id     BLOB    NOT NULL,
    attempt_id     BLOB    NOT NULL,
    destination_id INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    duration_us    INTEGER NOT NULL,
    class          TEXT    NOT NULL,
    status         INTEGER,
    detail         TEXT,
    answer         BLOB,
    worker         TEXT    NOT NULL,
    UNIQUE (message_id, attempt_id)
);

-- One that names a destination is a delivery that was given up: its message is stored, its envelope is empty.
ALTER TABLE dead_letters ADD COLUMN destination_id INTEGER;

CREATE INDEX dead_letters_destination ON dead_letters (destination_id, id) WHERE destination_id IS NOT NULL;

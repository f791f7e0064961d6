-- Keys that are rotated, and certificates that are asked for with a token.

-- A data key that was sealed anew under a later master key. Its record stays beside it: the proof of who made it.
ALTER TABLE data_keys ADD COLUMN rewrapped BLOB;

CREATE INDEX data_keys_master ON data_keys (master_key_id, key_id);

-- Which master keys a process still needs: what proxies keep in their journals, what main servers can open.
CREATE TABLE key_reports (
    reporter    BLOB    NOT NULL PRIMARY KEY,
    role        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    master_keys BLOB    NOT NULL,
    reported_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A token is good for one certificate. What it was used for is kept until it ends, so that a repeat gets the same answer.
CREATE TABLE enrolment_tokens (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    digest         BLOB    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    role           TEXT    NOT NULL,
    domain         TEXT,
    validity_days  INTEGER,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    used_at        INTEGER,
    request_digest BLOB,
    fingerprint    TEXT
);

CREATE INDEX enrolment_tokens_expiry ON enrolment_tokens (expires_at);
CREATE INDEX enrolment_tokens_name ON enrolment_tokens (name);

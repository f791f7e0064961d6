-- People: how they sign in, what they are told, and proof that the audit log is whole.
-- What is NULL in a unique column is unlike every other NULL, here as in every database that this is written for.

ALTER TABLE users ADD COLUMN may_send            INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN expires_at          INTEGER;
ALTER TABLE users ADD COLUMN password_changed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN generation          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN totp_secret         BLOB;
ALTER TABLE users ADD COLUMN totp_enabled_at     INTEGER;
ALTER TABLE users ADD COLUMN totp_last_step      INTEGER;

UPDATE users SET password_changed_at = created_at;

CREATE INDEX users_client ON users (client);

CREATE TABLE recovery_codes (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash    BLOB    NOT NULL
);

CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- A sign-in that lasts: a portal's, known by its token's digest, or an API's, continued by refresh tokens.
CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL,
    token_digest BLOB    UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    idle_timeout INTEGER NOT NULL,
    idle_until   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    peer_address TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, last_used_at);
CREATE INDEX sessions_idle ON sessions (idle_until);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    digest     BLOB    NOT NULL UNIQUE,
    session_id BLOB    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    parent_id  INTEGER,
    issued_at  INTEGER NOT NULL,
    used_at    INTEGER,
    expires_at INTEGER NOT NULL
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

CREATE TABLE reset_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    digest     BLOB    NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);

CREATE INDEX reset_tokens_user ON reset_tokens (user_id);
CREATE INDEX reset_tokens_expiry ON reset_tokens (expires_at);

-- NULL: what the installation has set for all.
ALTER TABLE domains ADD COLUMN sender_number  TEXT    NOT NULL DEFAULT 'required';
ALTER TABLE domains ADD COLUMN body_limit     INTEGER NOT NULL DEFAULT 1000;
ALTER TABLE domains ADD COLUMN rate_limit     INTEGER;
ALTER TABLE domains ADD COLUMN retention_days INTEGER;

ALTER TABLE clients ADD COLUMN rate_limit INTEGER;

-- Dead letters stand in the lists of messages.
CREATE INDEX dead_letters_domain ON dead_letters (domain, queued_at);
CREATE INDEX dead_letters_client ON dead_letters (client_id, queued_at);

-- The chain has an order of its own: rows of several writers may become visible in another order than that of their ids.
ALTER TABLE audit_log ADD COLUMN position  INTEGER;
ALTER TABLE audit_log ADD COLUMN prev_hash BLOB;
ALTER TABLE audit_log ADD COLUMN hash      BLOB;

CREATE UNIQUE INDEX audit_log_position ON audit_log (position);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_actor ON audit_log (actor, at);
CREATE INDEX audit_log_object ON audit_log (object, at);

CREATE TABLE audit_checkpoints (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    audit_id    INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    signature   BLOB    NOT NULL,
    certificate TEXT    NOT NULL
);

-- A mail that is sent or given up has no next attempt.
CREATE TABLE mail_outbox (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient       TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    body            BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    sent_at         INTEGER,
    given_up_at     INTEGER,
    last_error      TEXT
);

CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at);
CREATE INDEX mail_outbox_created ON mail_outbox (created_at);

-- is_open is 1 or NULL, so that one notice of a kind about a thing is open at a time and any number are resolved.
CREATE TABLE notices (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL,
    about       TEXT    NOT NULL,
    is_open     INTEGER,
    level       TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    resolved_at INTEGER,
    mailed_at   INTEGER,
    UNIQUE (kind, about, is_open)
);

CREATE INDEX notices_open ON notices (is_open, id);
CREATE INDEX notices_resolved ON notices (resolved_at);

CREATE TABLE leases (
    name        TEXT    NOT NULL PRIMARY KEY,
    holder      TEXT    NOT NULL,
    lease_until INTEGER NOT NULL
) WITHOUT ROWID;

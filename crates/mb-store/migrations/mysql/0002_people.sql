-- People: how they sign in, what they are told, and proof that the audit log is whole.
-- What is NULL in a unique column is unlike every other NULL, here as in every database that this is written for.

ALTER TABLE users
    ADD COLUMN may_send            TINYINT     NOT NULL DEFAULT 0,
    ADD COLUMN expires_at          DATETIME(6),
    ADD COLUMN password_changed_at DATETIME(6) NOT NULL DEFAULT '1970-01-01 00:00:00.000000',
    ADD COLUMN generation          BIGINT      NOT NULL DEFAULT 0,
    ADD COLUMN totp_secret         BLOB,
    ADD COLUMN totp_enabled_at     DATETIME(6),
    ADD COLUMN totp_last_step      BIGINT;

UPDATE users SET password_changed_at = created_at;

CREATE TABLE recovery_codes (
    id      BIGINT         NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT         NOT NULL,
    hash    VARBINARY(255) NOT NULL,
    INDEX recovery_codes_user (user_id),
    CONSTRAINT recovery_codes_of_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- A sign-in that lasts: a portal's, known by its token's digest, or an API's, continued by refresh tokens.
CREATE TABLE sessions (
    id           BINARY(16)   NOT NULL PRIMARY KEY,
    kind         VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token_digest BINARY(32),
    user_id      BIGINT       NOT NULL,
    generation   BIGINT       NOT NULL,
    created_at   DATETIME(6)  NOT NULL,
    last_used_at DATETIME(6)  NOT NULL,
    idle_timeout BIGINT       NOT NULL,
    idle_until   DATETIME(6)  NOT NULL,
    expires_at   DATETIME(6)  NOT NULL,
    peer_address VARCHAR(255) NOT NULL,
    user_agent   VARCHAR(255) NOT NULL,
    UNIQUE INDEX sessions_token (token_digest),
    INDEX sessions_user (user_id, last_used_at),
    INDEX sessions_idle (idle_until),
    INDEX sessions_expiry (expires_at),
    CONSTRAINT sessions_of_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE refresh_tokens (
    id         BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    digest     BINARY(32)  NOT NULL,
    session_id BINARY(16)  NOT NULL,
    parent_id  BIGINT,
    issued_at  DATETIME(6) NOT NULL,
    used_at    DATETIME(6),
    expires_at DATETIME(6) NOT NULL,
    UNIQUE INDEX refresh_tokens_digest (digest),
    INDEX refresh_tokens_session (session_id),
    INDEX refresh_tokens_expiry (expires_at),
    CONSTRAINT refresh_tokens_of_session FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE reset_tokens (
    id         BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    digest     BINARY(32)  NOT NULL,
    user_id    BIGINT      NOT NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    UNIQUE INDEX reset_tokens_digest (digest),
    INDEX reset_tokens_user (user_id),
    INDEX reset_tokens_expiry (expires_at),
    CONSTRAINT reset_tokens_of_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- NULL: what the installation has set for all.
ALTER TABLE domains
    ADD COLUMN sender_number  VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'required',
    ADD COLUMN body_limit     BIGINT      NOT NULL DEFAULT 1000,
    ADD COLUMN rate_limit     BIGINT,
    ADD COLUMN retention_days BIGINT;

ALTER TABLE clients ADD COLUMN rate_limit BIGINT;

-- Dead letters stand in the lists of messages.
ALTER TABLE dead_letters
    ADD INDEX dead_letters_domain (domain, queued_at, message_id),
    ADD INDEX dead_letters_client (client_id, queued_at, message_id);

-- The chain has an order of its own: rows of several writers may become visible in another order than that of their ids.
ALTER TABLE audit_log
    ADD COLUMN position  BIGINT,
    ADD COLUMN prev_hash BINARY(32),
    ADD COLUMN hash      BINARY(32),
    ADD UNIQUE INDEX audit_log_position (position),
    ADD INDEX audit_log_at (at),
    ADD INDEX audit_log_actor (actor, at),
    ADD INDEX audit_log_object (object, at);

CREATE TABLE audit_checkpoints (
    id          BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at          DATETIME(6) NOT NULL,
    position    BIGINT      NOT NULL,
    audit_id    BIGINT      NOT NULL,
    hash        BINARY(32)  NOT NULL,
    signature   BLOB        NOT NULL,
    certificate TEXT        NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- A mail that is sent or given up has no next attempt.
CREATE TABLE mail_outbox (
    id              BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    recipient       VARCHAR(320) NOT NULL,
    subject         TEXT         NOT NULL,
    body            MEDIUMBLOB   NOT NULL,
    created_at      DATETIME(6)  NOT NULL,
    next_attempt_at DATETIME(6),
    attempts        BIGINT       NOT NULL DEFAULT 0,
    sent_at         DATETIME(6),
    given_up_at     DATETIME(6),
    last_error      TEXT,
    INDEX mail_outbox_due (next_attempt_at),
    INDEX mail_outbox_created (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- is_open is 1 or NULL, so that one notice of a kind about a thing is open at a time and any number are resolved.
CREATE TABLE notices (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    kind        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    about       VARCHAR(512) NOT NULL,
    is_open     TINYINT,
    level       VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    detail      MEDIUMTEXT   NOT NULL,
    first_at    DATETIME(6)  NOT NULL,
    last_at     DATETIME(6)  NOT NULL,
    count       BIGINT       NOT NULL,
    resolved_at DATETIME(6),
    mailed_at   DATETIME(6),
    UNIQUE INDEX notices_about (kind, about, is_open),
    INDEX notices_open (is_open, id),
    INDEX notices_resolved (resolved_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE leases (
    name        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    holder      VARCHAR(255) NOT NULL,
    lease_until DATETIME(6)  NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

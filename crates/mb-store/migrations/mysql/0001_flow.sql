-- What the first release stores: who may send, what was accepted, and what was done.
-- For MySQL and MariaDB alike. Times are UTC, ids are 16 bytes. Names are ASCII and compare byte by byte; other text does
-- so too, trailing blanks included, by the collation that either server has for that.

CREATE TABLE settings (
    name  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    value MEDIUMBLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- The epoch is minted with the store: a proxy that sees another one offers again all that it keeps.
INSERT INTO settings (name, value) VALUES ('epoch', RANDOM_BYTES(16)), ('policy_version', x'0000000000000001');

CREATE TABLE domains (
    name       VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE clients (
    name       VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    domain     VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    INDEX clients_domain (domain, name),
    CONSTRAINT clients_of_domain FOREIGN KEY (domain) REFERENCES domains (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE users (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email         VARCHAR(320) NOT NULL,
    password_hash TEXT         NOT NULL,
    role          VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    client        VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin,
    active        TINYINT      NOT NULL,
    created_at    DATETIME(6)  NOT NULL,
    UNIQUE INDEX users_email (email),
    INDEX users_client (client),
    CONSTRAINT users_of_client FOREIGN KEY (client) REFERENCES clients (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE certificates (
    id                BIGINT        NOT NULL AUTO_INCREMENT PRIMARY KEY,
    issuer            BINARY(16)    NOT NULL,
    serial            VARBINARY(64) NOT NULL,
    fingerprint       VARCHAR(64)   NOT NULL,
    name              VARCHAR(255)  NOT NULL,
    role              VARCHAR(32)   CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    domain            VARCHAR(63)   CHARACTER SET ascii COLLATE ascii_bin,
    not_before        DATETIME(6)   NOT NULL,
    not_after         DATETIME(6)   NOT NULL,
    certificate_pem   TEXT          NOT NULL,
    created_at        DATETIME(6)   NOT NULL,
    revoked_at        DATETIME(6),
    revocation_reason TEXT,
    UNIQUE INDEX certificates_fingerprint (fingerprint),
    UNIQUE INDEX certificates_serial (issuer, serial),
    INDEX certificates_name (name, not_after),
    INDEX certificates_revoked (revoked_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE data_keys (
    key_id        BINARY(16)    NOT NULL PRIMARY KEY,
    master_key_id BINARY(16)    NOT NULL,
    record        BLOB          NOT NULL,
    proxy_name    VARCHAR(255)  NOT NULL,
    proxy_serial  VARBINARY(64) NOT NULL,
    created_at    DATETIME(6)   NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- No foreign key to clients: acceptance is decided at the edge alone. Rows lie in order of arrival, so that inserting
-- appends, whatever the ids look like. The lists' indexes end with the id, by which equal times are sorted.
CREATE TABLE messages (
    seq                  BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message_id           BINARY(16)   NOT NULL,
    client_id            VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    domain               VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    topic                VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    queued_at            DATETIME(6)  NOT NULL,
    deliver_at           DATETIME(6),
    expires_at           DATETIME(6),
    key_id               BINARY(16)   NOT NULL,
    sender_number_hashed BINARY(32),
    encrypted_body       MEDIUMBLOB   NOT NULL,
    status               VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt_count        INT          NOT NULL DEFAULT 0,
    registered_at        DATETIME(6)  NOT NULL,
    delivered_at         DATETIME(6),
    failed_at            DATETIME(6),
    last_error           TEXT,
    UNIQUE INDEX messages_id (message_id),
    INDEX messages_domain (domain, queued_at, message_id),
    INDEX messages_client (client_id, queued_at, message_id),
    INDEX messages_sender (sender_number_hashed, queued_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE dead_letters (
    id         BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message_id BINARY(16)   NOT NULL,
    digest     BINARY(32)   NOT NULL,
    reason     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    envelope   MEDIUMBLOB   NOT NULL,
    client_id  VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin,
    domain     VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin,
    topic      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin,
    queued_at  DATETIME(6),
    deliver_at DATETIME(6),
    expires_at DATETIME(6),
    created_at DATETIME(6)  NOT NULL,
    UNIQUE INDEX dead_letters_digest (message_id, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE counters (
    instance VARCHAR(255) NOT NULL,
    hour     BIGINT       NOT NULL,
    domain   VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    event    VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    count    BIGINT       NOT NULL,
    PRIMARY KEY (hour, domain, event, instance)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE audit_log (
    id     BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at     DATETIME(6)  NOT NULL,
    actor  VARCHAR(320) NOT NULL,
    action VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    object VARCHAR(512) NOT NULL,
    detail MEDIUMTEXT   NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Delivery: where messages go, how far each has come, and what was tried.

-- is_live is 1, or NULL for one that was deleted: its deliveries still name it. A change of what routing asks for counts
-- the setting destinations_version up.
CREATE TABLE destinations (
    id                 BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    domain             VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name               VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    is_live            TINYINT,
    kind               VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state              VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state_reason       VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin,
    url                TEXT         NOT NULL,
    topics             TEXT         NOT NULL,
    clients            TEXT         NOT NULL,
    retry              TEXT         NOT NULL,
    concurrency        BIGINT       NOT NULL,
    rate               BIGINT,
    secret             BLOB,
    previous_secret    BLOB,
    previous_until     DATETIME(6),
    ca                 MEDIUMTEXT,
    client_certificate MEDIUMTEXT,
    client_key         BLOB,
    created_at         DATETIME(6)  NOT NULL,
    changed_at         DATETIME(6)  NOT NULL,
    breaker            TEXT         NOT NULL,
    breaker_until      DATETIME(6),
    UNIQUE INDEX destinations_name (domain, name, is_live),
    CONSTRAINT destinations_of_domain FOREIGN KEY (domain) REFERENCES domains (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

INSERT INTO settings (name, value) VALUES ('destinations_version', x'0000000000000001');

-- due_at is when it may be tried next, or when its lease ends; NULL once it is final. Fresh ones (lane 0) and those that
-- were tried before (lane 1) wait apart, so that neither keeps the other from its turn. expires_at is NULL once final.
CREATE TABLE deliveries (
    message_id     BINARY(16)   NOT NULL,
    destination_id BIGINT       NOT NULL,
    state          VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    lane           TINYINT      NOT NULL,
    due_at         DATETIME(6),
    expires_at     DATETIME(6),
    attempts       BIGINT       NOT NULL DEFAULT 0,
    lease_id       BINARY(16),
    leased_by      VARCHAR(255),
    last_error     TEXT,
    created_at     DATETIME(6)  NOT NULL,
    finished_at    DATETIME(6),
    PRIMARY KEY (message_id, destination_id),
    INDEX deliveries_due (destination_id, lane, due_at),
    INDEX deliveries_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

CREATE TABLE attempts (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    message_id     BINARY(16)   NOT NULL,
    attempt_id     BINARY(16)   NOT NULL,
    destination_id BIGINT       NOT NULL,
    at             DATETIME(6)  NOT NULL,
    duration_us    BIGINT       NOT NULL,
    class          VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status         BIGINT,
    detail         TEXT,
    answer         MEDIUMBLOB,
    worker         VARCHAR(255) NOT NULL,
    UNIQUE INDEX attempts_attempt (message_id, attempt_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- One that names a destination is a delivery that was given up: its message is stored, its envelope is empty.
ALTER TABLE dead_letters
    ADD COLUMN destination_id BIGINT,
    ADD INDEX dead_letters_destination (destination_id, id);

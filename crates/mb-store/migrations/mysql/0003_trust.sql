-- Keys that are rotated, and certificates that are asked for with a token.

-- A data key that was sealed anew under a later master key. Its record stays beside it: the proof of who made it.
ALTER TABLE data_keys
    ADD COLUMN rewrapped BLOB,
    ADD INDEX data_keys_master (master_key_id, key_id);

-- Which master keys a process still needs: what proxies keep in their journals, what main servers can open.
CREATE TABLE key_reports (
    reporter    BINARY(16)   NOT NULL PRIMARY KEY,
    role        VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name        VARCHAR(255) NOT NULL,
    master_keys BLOB         NOT NULL,
    reported_at DATETIME(6)  NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- A token is good for one certificate. What it was used for is kept until it ends, so that a repeat gets the same answer.
CREATE TABLE enrolment_tokens (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    digest         BINARY(32)   NOT NULL,
    name           VARCHAR(255) NOT NULL,
    role           VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    domain         VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin,
    validity_days  BIGINT,
    created_at     DATETIME(6)  NOT NULL,
    expires_at     DATETIME(6)  NOT NULL,
    used_at        DATETIME(6),
    request_digest BINARY(32),
    fingerprint    VARCHAR(64),
    UNIQUE INDEX enrolment_tokens_digest (digest),
    INDEX enrolment_tokens_expiry (expires_at),
    INDEX enrolment_tokens_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

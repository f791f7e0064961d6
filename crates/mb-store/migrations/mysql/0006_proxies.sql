-- Which proxies are alive, what they hold and how far their clocks are off: a row for each, written as it asks.

CREATE TABLE proxies (
    id             VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    name           VARCHAR(255) NOT NULL,
    policy_version BIGINT,
    clock_ahead_ms BIGINT,
    seen_at        DATETIME(6)  NOT NULL,
    INDEX proxies_seen (seen_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- Which workers are alive and how they fare: a row for each, written with its heartbeat. queue is what it says of the queue,
-- a JSON object.
CREATE TABLE workers (
    id                    VARCHAR(255) NOT NULL PRIMARY KEY,
    name                  VARCHAR(255) NOT NULL,
    version               VARCHAR(64)  NOT NULL,
    started_at            DATETIME(6)  NOT NULL,
    seen_at               DATETIME(6)  NOT NULL,
    claimed               BIGINT       NOT NULL,
    held                  BIGINT       NOT NULL,
    in_flight             BIGINT       NOT NULL,
    registered_per_minute BIGINT       NOT NULL,
    attempts_per_minute   BIGINT       NOT NULL,
    failing_seconds       BIGINT       NOT NULL,
    queue                 MEDIUMTEXT   NOT NULL,
    INDEX workers_seen (seen_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- What waits in each proxy's journal for the store.
ALTER TABLE proxies
    ADD COLUMN waiting   BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN oldest_at DATETIME(6);

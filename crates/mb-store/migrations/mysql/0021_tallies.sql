-- Why messages failed and how long they took, counted like all else that happens: per hour, domain and writer. For 'took'
-- the value is a band of durations, for 'failure' a reason.
CREATE TABLE tallies (
    kind     VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    hour     BIGINT       NOT NULL,
    domain   VARCHAR(63)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    value    VARCHAR(64)  NOT NULL,
    instance VARCHAR(255) NOT NULL,
    count    BIGINT       NOT NULL,
    PRIMARY KEY (kind, hour, domain, value, instance)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

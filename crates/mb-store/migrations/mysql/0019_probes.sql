-- Trials of destinations: asked for at one main server, made by a worker that speaks to any of them. A row lives for as long
-- as somebody waits.
CREATE TABLE probes (
    id       BINARY(16)  NOT NULL PRIMARY KEY,
    asked    TEXT        NOT NULL,
    asked_at DATETIME(6) NOT NULL,
    taken_at DATETIME(6),
    report   MEDIUMBLOB
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

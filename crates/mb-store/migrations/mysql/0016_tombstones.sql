-- Messages whose content was removed for good: no copy of them comes in again, also when their row is gone, for as long as
-- a copy can be on its way.

CREATE TABLE tombstones (
    message_id  BINARY(16)  NOT NULL PRIMARY KEY,
    expunged_at DATETIME(6) NOT NULL,
    INDEX tombstones_age (expunged_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

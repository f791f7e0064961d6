-- How long contents are kept, where a domain has days of its own: NULL is what holds for all. retention_days, which has been
-- there, is how long messages are known at all.
ALTER TABLE domains ADD COLUMN body_retention_days BIGINT;

-- How far what is too old has been removed: everything of a domain up to this message was looked at since the round began.
-- What was open then is looked at again in the next one.
CREATE TABLE retention_progress (
    domain     VARCHAR(63) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    what       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    queued_at  DATETIME(6) NOT NULL,
    message_id BINARY(16)  NOT NULL,
    round_at   DATETIME(6) NOT NULL,
    PRIMARY KEY (domain, what)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- In the order in which they are removed; the table's own key comes behind them.
ALTER TABLE dead_letters ADD INDEX dead_letters_age (domain, queued_at);

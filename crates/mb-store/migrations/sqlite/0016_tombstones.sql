-- Messages whose content was removed for good: no copy of them comes in again, also when their row is gone, for as long as
-- a copy can be on its way.

CREATE TABLE tombstones (
    message_id  BLOB    NOT NULL PRIMARY KEY,
    expunged_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX tombstones_age ON tombstones (expunged_at);

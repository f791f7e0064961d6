-- Which workers are alive and how they fare: a row for each, written with its heartbeat. queue is what it says of the queue,
-- a JSON object.
CREATE TABLE workers (
    id                    TEXT    NOT NULL PRIMARY KEY,
    name                  TEXT    NOT NULL,
    version               TEXT    NOT NULL,
    started_at            INTEGER NOT NULL,
    seen_at               INTEGER NOT NULL,
    claimed               INTEGER NOT NULL,
    held                  INTEGER NOT NULL,
    in_flight             INTEGER NOT NULL,
    registered_per_minute INTEGER NOT NULL,
    attempts_per_minute   INTEGER NOT NULL,
    failing_seconds       INTEGER NOT NULL,
    queue                 TEXT    NOT NULL
) WITHOUT ROWID;

CREATE INDEX workers_seen ON workers (seen_at);

-- What waits in each proxy's journal for the store.
ALTER TABLE proxies ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE proxies ADD COLUMN oldest_at INTEGER;

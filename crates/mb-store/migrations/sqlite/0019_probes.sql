-- Trials of destinations: asked for at one main server, made by a worker that speaks to any of them. A row lives for as long
-- as somebody waits.
CREATE TABLE probes (
    id       BLOB    NOT NULL PRIMARY KEY,
    asked    TEXT    NOT NULL,
    asked_at INTEGER NOT NULL,
    taken_at INTEGER,
    report   BLOB
) WITHOUT ROWID;

-- Which proxies are alive, what they hold and how far their clocks are off: a row for each, written as it asks.

CREATE TABLE proxies (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    policy_version INTEGER,
    clock_ahead_ms INTEGER,
    seen_at        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX proxies_seen ON proxies (seen_at);

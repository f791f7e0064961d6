-- Why messages failed and how long they took, counted like all else that happens: per hour, domain and writer. For 'took'
-- the value is a band of durations, for 'failure' a reason.
CREATE TABLE tallies (
    kind     TEXT    NOT NULL,
    hour     INTEGER NOT NULL,
    domain   TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    instance TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (kind, hour, domain, value, instance)
) WITHOUT ROWID;

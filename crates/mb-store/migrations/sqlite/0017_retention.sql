-- How long contents are kept, where a domain has days of its own: NULL is what holds for all. retention_days, which has been
-- there, is how long messages are known at all.
ALTER TABLE domains ADD COLUMN body_retention_days INTEGER;

-- How far what is too old has been removed: everything of a domain up to this message was looked at since the round began.
-- What was open then is looked at again in the next one.
CREATE TABLE retention_progress (
    domain     TEXT    NOT NULL,
    what       TEXT    NOT NULL,
    queued_at  INTEGER NOT NULL,
    message_id BLOB    NOT NULL,
    round_at   INTEGER NOT NULL,
    PRIMARY KEY (domain, what)
) WITHOUT ROWID;

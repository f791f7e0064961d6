-- How much each proxy last said waits in its journal.
ALTER TABLE proxies ADD COLUMN journal_depth BIGINT;
ALTER TABLE proxies ADD COLUMN journal_oldest_at DATETIME(6);

-- What each proxy last said is wrong with its journal: a count that rises is a notice.
ALTER TABLE proxies ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE proxies ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;
ALTER TABLE proxies ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;

-- version is what destinations_version became by the destination's last change: workers compare it, whoever's clock made
-- the change. older_secret is the one before previous_secret, while it is good, too: two rotations within a day.
ALTER TABLE destinations
    ADD COLUMN version BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN older_secret BLOB,
    ADD COLUMN older_until DATETIME(6);

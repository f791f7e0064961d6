-- The networks that an account's owner has signed in from, whether or not a session of it is left.
CREATE TABLE sign_in_networks (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT    NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, network)
) WITHOUT ROWID;

-- The certificates that end soon are found by when they do.
CREATE INDEX certificates_expiry ON certificates (not_after);

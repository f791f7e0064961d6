-- The networks that an account's owner has signed in from, whether or not a session of it is left.
CREATE TABLE sign_in_networks (
    user_id BIGINT      NOT NULL,
    network VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    last_at DATETIME(6) NOT NULL,
    PRIMARY KEY (user_id, network),
    CONSTRAINT sign_in_networks_of_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;

-- The certificates that end soon are found by when they do.
CREATE INDEX certificates_expiry ON certificates (not_after);

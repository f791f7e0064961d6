-- The database and its user, on MySQL 8.0 or later and MariaDB 10.11 or later. Run it as an administrator:
--   mysql -u root -p < database.sql
-- Replace the password first, here and in DATABASE_URL (there %-encoded).
--
-- The user may do in its own database what migrations and the main server do, and nothing elsewhere: no GRANT OPTION, no
-- FILE, no SUPER. Names of columns and tables compare byte by byte where that matters, whatever the default here.

CREATE DATABASE IF NOT EXISTS message_system CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE USER IF NOT EXISTS 'systemuser'@'localhost' IDENTIFIED BY 'replace-me';

GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES
    ON message_system.* TO 'systemuser'@'localhost';

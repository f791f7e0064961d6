-- From when on a mail is of no use to its reader, because the link in it has expired; NULL: it stays useful.
ALTER TABLE mail_outbox ADD COLUMN expires_at DATETIME(6);

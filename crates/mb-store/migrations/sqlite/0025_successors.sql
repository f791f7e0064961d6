-- Which certificate another one was renewed over, by its serial number, and a way to both.
ALTER TABLE certificates ADD COLUMN renewed_from BLOB;

CREATE INDEX certificates_by_serial ON certificates (serial);
CREATE INDEX certificates_renewed ON certificates (renewed_from);

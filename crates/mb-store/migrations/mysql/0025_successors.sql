-- Which certificate another one was renewed over, by its serial number, and a way to both.
ALTER TABLE certificates
    ADD COLUMN renewed_from VARBINARY(64),
    ADD INDEX certificates_by_serial (serial),
    ADD INDEX certificates_renewed (renewed_from);

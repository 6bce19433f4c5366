ALTER TABLE quotas DROP COLUMN quarantine_bytes;
ALTER TABLE tenants DROP COLUMN quarantine;
DROP TABLE quarantine_usage;
DROP TABLE quarantined_records;

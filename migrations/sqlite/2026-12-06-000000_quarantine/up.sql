-- Refused records that are kept, to be mended and sent again; outside of the audit trail. `record` is as it was received, in
-- whatever encoding; `codes` has the codes of all violations with commas around each, `violations` the first of them as JSON.
-- `bytes` is what it counts against the quota. By `digest` the same record is known again; NULL where equal ones may differ.
CREATE TABLE quarantined_records (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    received_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    call_id TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    form TEXT NOT NULL,
    contract TEXT,
    idempotency_key TEXT,
    mapping TEXT,
    codes TEXT NOT NULL,
    violation_count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    digest BLOB,
    violations TEXT NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX quarantined_records_by_digest ON quarantined_records (tenant_id, digest);
CREATE INDEX quarantined_records_by_expiry ON quarantined_records (expires_at);

-- What the records of a tenant count together. A transaction that adds or removes records locks the row first.
CREATE TABLE quarantine_usage (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    bytes INTEGER NOT NULL
) STRICT;

-- Whether refused records are kept where a call does not say; NULL for no.
ALTER TABLE tenants ADD COLUMN quarantine INTEGER;
-- NULL for the limit that the server is configured with.
ALTER TABLE quotas ADD COLUMN quarantine_bytes INTEGER;

-- Refused records that are kept, to be mended and sent again; outside of the audit trail. `record` is as it was received, in
-- whatever encoding; `codes` has the codes of all violations with commas around each, `violations` the first of them as JSON.
-- `bytes` is what it counts against the quota. By `digest` the same record is known again; NULL where equal ones may differ.
CREATE TABLE quarantined_records (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    call_id text NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    form text NOT NULL,
    contract text,
    idempotency_key text,
    mapping text,
    codes text NOT NULL,
    violation_count bigint NOT NULL,
    bytes bigint NOT NULL,
    digest bytea,
    violations text NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX quarantined_records_by_digest ON quarantined_records (tenant_id, digest);
CREATE INDEX quarantined_records_by_expiry ON quarantined_records (expires_at);

-- What the records of a tenant count together. A transaction that adds or removes records locks the row first.
CREATE TABLE quarantine_usage (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    bytes bigint NOT NULL
);

-- Whether refused records are kept where a call does not say; NULL for no.
ALTER TABLE tenants ADD COLUMN quarantine boolean;
-- NULL for the limit that the server is configured with.
ALTER TABLE quotas ADD COLUMN quarantine_bytes bigint;

ALTER TABLE quarantined_records ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON quarantined_records USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE quarantine_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON quarantine_usage USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

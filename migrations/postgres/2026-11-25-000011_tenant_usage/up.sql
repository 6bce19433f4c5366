-- What quotas are judged by. Kept for every tenant, so that a quota that is set later knows what is there already.
CREATE TABLE tenant_usage (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    -- The day of UTC, counted from 1970-01-01, of which the requests are counted.
    day bigint NOT NULL,
    requests bigint NOT NULL,
    stored_bytes bigint NOT NULL
);

INSERT INTO tenant_usage (tenant_id, day, requests, stored_bytes)
SELECT tenant_id, 0, 0, sum(octet_length(document)) FROM mass_requests GROUP BY tenant_id;

ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_usage USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

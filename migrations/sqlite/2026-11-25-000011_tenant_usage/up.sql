-- What quotas are judged by. Kept for every tenant, so that a quota that is set later knows what is there already.
CREATE TABLE tenant_usage (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    -- The day of UTC, counted from 1970-01-01, of which the requests are counted.
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL
) STRICT;

INSERT INTO tenant_usage (tenant_id, day, requests, stored_bytes)
SELECT tenant_id, 0, 0, sum(octet_length(document)) FROM mass_requests GROUP BY tenant_id;

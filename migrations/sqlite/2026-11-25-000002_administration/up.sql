-- The directory leads from a prefix to the key. Of the secret only its SHA-256 is here.
CREATE TABLE api_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    prefix TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    name TEXT NOT NULL,
    permissions TEXT NOT NULL,
    addresses TEXT NOT NULL,
    expires_at TEXT,
    last_used_at TEXT,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    revoked_at TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE UNIQUE INDEX api_keys_by_prefix ON api_keys (tenant_id, prefix);

-- A tenant without a row, or with nothing in a column, has no quota.
CREATE TABLE quotas (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    requests_per_day INTEGER,
    stored_bytes INTEGER,
    updated_at TEXT NOT NULL
) STRICT;

-- The directory leads from a prefix to the key. Of the secret only its SHA-256 is here.
CREATE TABLE api_keys (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL,
    name text NOT NULL,
    permissions text NOT NULL,
    addresses text NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX api_keys_by_prefix ON api_keys (tenant_id, prefix);

-- A tenant without a row, or with nothing in a column, has no quota.
CREATE TABLE quotas (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    requests_per_day bigint,
    stored_bytes bigint,
    updated_at timestamptz NOT NULL
);

-- `profile` is the text as it was sent, in `format`; `digest` is its SHA-256. Names are ordered bytewise, as in SQLite.
CREATE TABLE mapping_profiles (
    tenant_id text NOT NULL REFERENCES tenants (id),
    name text COLLATE "C" NOT NULL,
    format text NOT NULL,
    digest bytea NOT NULL,
    contract text NOT NULL,
    profile text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    updated_at timestamptz NOT NULL,
    updated_by_kind text NOT NULL,
    updated_by_id uuid,
    PRIMARY KEY (tenant_id, name)
);

ALTER TABLE mapping_profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON mapping_profiles USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

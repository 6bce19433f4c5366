-- `profile` is the text as it was sent, in `format`; `digest` is its SHA-256.
CREATE TABLE mapping_profiles (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    format TEXT NOT NULL,
    digest BLOB NOT NULL,
    contract TEXT NOT NULL,
    profile TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    updated_at TEXT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by_id BLOB,
    PRIMARY KEY (tenant_id, name)
) STRICT;

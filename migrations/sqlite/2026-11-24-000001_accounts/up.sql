CREATE TABLE tenants (
    id TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    disabled_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;

-- Whoever logs in names an address, not a tenant: this is the one door that leads to a tenant, and therefore the one
-- table whose key does not begin with it. It holds nothing else.
CREATE TABLE logins (
    email TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id BLOB NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE tenants (
    id text NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL
);

CREATE TABLE users (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    roles text NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- Whoever logs in names an address, not a tenant: this is the one door that leads to a tenant, and therefore the one
-- table whose key does not begin with it. It holds nothing else.
CREATE TABLE logins (
    email text NOT NULL PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id uuid NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
);

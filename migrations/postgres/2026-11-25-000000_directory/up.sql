-- Some things are presented before a tenant is known: an address at a log-in, the prefix of an API key. This is the one
-- door that leads from them to a tenant, and therefore the one table of tenants' data whose key does not begin with the
-- tenant. It holds nothing else.
CREATE TABLE directory (
    kind text NOT NULL,
    key text NOT NULL,
    tenant_id text NOT NULL REFERENCES tenants (id),
    object_id uuid NOT NULL,
    PRIMARY KEY (kind, key)
);

INSERT INTO directory (kind, key, tenant_id, object_id) SELECT 'email', email, tenant_id, user_id FROM logins;

DROP TABLE logins;

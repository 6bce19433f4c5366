-- Some things are presented before a tenant is known: an address at a log-in, the prefix of an API key. This is the one
-- door that leads from them to a tenant, and therefore the one table of tenants' data whose key does not begin with the
-- tenant. It holds nothing else.
CREATE TABLE directory (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    object_id BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;

INSERT INTO directory (kind, key, tenant_id, object_id) SELECT 'email', email, tenant_id, user_id FROM logins;

DROP TABLE logins;

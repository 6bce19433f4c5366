CREATE TABLE logins (
    email TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    user_id BLOB NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

INSERT INTO logins (email, tenant_id, user_id) SELECT key, tenant_id, object_id FROM directory WHERE kind = 'email';

DROP TABLE directory;

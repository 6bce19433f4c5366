CREATE TABLE logins (
    email text NOT NULL PRIMARY KEY,
    tenant_id text NOT NULL,
    user_id uuid NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
);

INSERT INTO logins (email, tenant_id, user_id) SELECT key, tenant_id, object_id FROM directory WHERE kind = 'email';

DROP TABLE directory;

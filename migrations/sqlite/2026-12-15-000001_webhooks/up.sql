-- Webhooks. Their secrets are derived from the server's SECRET_KEY and `salt`, so that none is stored; `key_id` tells the key from
-- others. The secret before a rotation still signs until `previous_until`.
CREATE TABLE webhooks (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    enabled INTEGER NOT NULL,
    digest BLOB NOT NULL,
    salt BLOB NOT NULL,
    key_id TEXT NOT NULL,
    previous_salt BLOB,
    previous_key_id TEXT,
    previous_until TEXT,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    updated_at TEXT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by_id BLOB,
    PRIMARY KEY (tenant_id, name)
) STRICT;

-- What webhooks are told. `webhook` and `alert_id` name what may be gone.
CREATE TABLE notifications (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    webhook TEXT NOT NULL,
    news TEXT NOT NULL,
    alert_id BLOB,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    failure TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX notifications_by_state ON notifications (tenant_id, state, updated_at);

-- What a worker sees before it knows whose notification it takes. A notification is in it until it is delivered or dead. `due_at` is
-- when the next worker may take it: of one that a worker has, the end of its lease. `fence` counts the claims, which tells an earlier
-- holder from the present one.
CREATE TABLE notification_queue (
    tenant_id TEXT NOT NULL,
    notification_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, notification_id),
    FOREIGN KEY (tenant_id, notification_id) REFERENCES notifications (tenant_id, id)
) STRICT;
CREATE INDEX notification_queue_by_due ON notification_queue (due_at);

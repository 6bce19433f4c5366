-- Webhooks. Their secrets are derived from the server's SECRET_KEY and `salt`, so that none is stored; `key_id` tells the key from
-- others. The secret before a rotation still signs until `previous_until`.
CREATE TABLE webhooks (
    tenant_id text NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    url text NOT NULL,
    description text,
    enabled boolean NOT NULL,
    digest bytea NOT NULL,
    salt bytea NOT NULL,
    key_id text NOT NULL,
    previous_salt bytea,
    previous_key_id text,
    previous_until timestamptz,
    created_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    updated_at timestamptz NOT NULL,
    updated_by_kind text NOT NULL,
    updated_by_id uuid,
    PRIMARY KEY (tenant_id, name)
);

-- What webhooks are told. `webhook` and `alert_id` name what may be gone.
CREATE TABLE notifications (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    webhook text NOT NULL,
    news text NOT NULL,
    alert_id uuid,
    body text NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    created_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    failure text,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX notifications_by_state ON notifications (tenant_id, state, updated_at);

-- What a worker sees before it knows whose notification it takes: no policy stands around it, as around `delivery_queue`. A
-- notification is in it until it is delivered or dead. `due_at` is when the next worker may take it: of one that a worker has, the
-- end of its lease. `fence` counts the claims, which tells an earlier holder from the present one.
CREATE TABLE notification_queue (
    tenant_id text NOT NULL,
    notification_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant_id, notification_id),
    FOREIGN KEY (tenant_id, notification_id) REFERENCES notifications (tenant_id, id)
);
CREATE INDEX notification_queue_by_due ON notification_queue (due_at);

ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON webhooks USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notifications USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

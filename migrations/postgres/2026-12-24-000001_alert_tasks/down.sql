CREATE TABLE alert_queue (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL
);
CREATE INDEX alert_queue_by_due ON alert_queue (due_at);
INSERT INTO alert_queue SELECT tenant_id, due_at, worker, fence FROM tenant_tasks WHERE task = 'alerts';
DELETE FROM tenant_tasks WHERE task = 'alerts';

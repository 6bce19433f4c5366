CREATE TABLE alert_queue (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_queue_by_due ON alert_queue (due_at);
INSERT INTO alert_queue SELECT tenant_id, due_at, worker, fence FROM tenant_tasks WHERE task = 'alerts';
DELETE FROM tenant_tasks WHERE task = 'alerts';

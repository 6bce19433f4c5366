-- The evaluation of alert rules is one of the tasks on tenants. That of a suspended tenant waits until it is resumed.
INSERT INTO tenant_tasks (tenant_id, task, due_at, worker, fence)
SELECT tenant_id, 'alerts', due_at, worker, fence FROM alert_queue
WHERE tenant_id IN (SELECT id FROM tenants WHERE suspended_at IS NULL);
DROP TABLE alert_queue;

-- By which call these were put in the queue is not known here: their requests' ids stand for it.
INSERT INTO deliveries (
    tenant_id, id, request_id, state, round, attempts, created_at, queued_at, updated_at, call_id
)
SELECT queue.tenant_id, request.id, request.id, 'queued', 1, 0, request.created_at, request.created_at, request.created_at,
    lower(hex(request.id))
FROM delivery_queue AS queue
JOIN mass_requests AS request ON request.tenant_id = queue.tenant_id AND request.id = queue.delivery_id
WHERE true ON CONFLICT DO NOTHING;
CREATE TABLE delivery_queue_after_deliveries (
    tenant_id TEXT NOT NULL,
    delivery_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
) STRICT;
INSERT INTO delivery_queue_after_deliveries SELECT tenant_id, delivery_id, due_at, worker, fence FROM delivery_queue;
DROP TABLE delivery_queue;
ALTER TABLE delivery_queue_after_deliveries RENAME TO delivery_queue;
CREATE INDEX delivery_queue_by_due ON delivery_queue (due_at);
CREATE INDEX delivery_queue_by_tenant ON delivery_queue (tenant_id, due_at);
DROP INDEX deliveries_by_state;
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id);
DROP INDEX deliveries_by_request;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id);

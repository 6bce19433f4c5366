-- As in PostgreSQL, where an index without a condition is taken for a way to look up a key.
DROP INDEX deliveries_by_request;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id) WHERE length(tenant_id) > 0;
DROP INDEX deliveries_by_state;
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id) WHERE length(tenant_id) > 0;

-- What is put in the queue with its request has the request's id, and no row in `deliveries` until somebody does something
-- about it. Of the call by which it was put there, the request's event lacks the flags of the trace.
CREATE TABLE delivery_queue_before_deliveries (
    tenant_id TEXT NOT NULL,
    delivery_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    trace_flags INTEGER,
    PRIMARY KEY (tenant_id, delivery_id)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_queue_before_deliveries
SELECT tenant_id, delivery_id, due_at, worker, fence, NULL FROM delivery_queue;
DROP TABLE delivery_queue;
ALTER TABLE delivery_queue_before_deliveries RENAME TO delivery_queue;
-- What is due is looked for tenant by tenant.
CREATE INDEX delivery_queue_by_tenant ON delivery_queue (tenant_id, due_at) WHERE length(tenant_id) > 0;

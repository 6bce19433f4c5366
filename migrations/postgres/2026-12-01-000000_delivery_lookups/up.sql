-- What is looked up by a key is planned while the tables are small, when every index that begins with the tenant costs the
-- same. PostgreSQL keeps the plan, foreign keys' own included, and would read all that the tenant has when they are large.
-- So the other indexes have a condition, which is true of every row, and serve those alone who repeat it.
DROP INDEX deliveries_by_request;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id) WHERE length(tenant_id) > 0;
DROP INDEX deliveries_by_state;
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id) WHERE length(tenant_id) > 0;
DROP INDEX delivery_queue_by_tenant;
CREATE INDEX delivery_queue_by_tenant ON delivery_queue (tenant_id, due_at) WHERE length(tenant_id) > 0;

-- What is due is looked for tenant by tenant, so that this one serves nobody.
DROP INDEX delivery_queue_by_due;

-- What is put in the queue with its request has the request's id, and no row in `deliveries` until somebody does something
-- about it. Of the call by which it was put there, the request's event lacks the flags of the trace.
ALTER TABLE delivery_queue DROP CONSTRAINT delivery_queue_tenant_id_delivery_id_fkey;
ALTER TABLE delivery_queue ADD COLUMN trace_flags bigint;

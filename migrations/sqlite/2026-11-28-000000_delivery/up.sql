-- The intention to ask the engine about a request, and what became of it. A replay is another round of the same delivery.
-- `call_id` and `traceparent` tell by which call it was put in the queue.
CREATE TABLE deliveries (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    state TEXT NOT NULL,
    round INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    failure_code TEXT,
    failure_detail TEXT,
    dead_reason TEXT,
    call_id TEXT NOT NULL,
    traceparent TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id);
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id);

-- What a worker has to see before it knows whose delivery it takes. It tells that a tenant has deliveries and when they are
-- due, and nothing of what they are about. A delivery is in it while an answer is to come. `due_at` is when the next worker
-- may take it: of one that a worker has, the end of its lease. `fence` counts the claims, so that who had it before is told
-- from who has it.
CREATE TABLE delivery_queue (
    tenant_id TEXT NOT NULL,
    delivery_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
) STRICT;
CREATE INDEX delivery_queue_by_due ON delivery_queue (due_at);

-- `answer` is what the engine said, as it was understood; the other columns repeat what is looked up in it.
CREATE TABLE recommendations (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    request_id BLOB NOT NULL,
    delivery_id BLOB NOT NULL,
    contract TEXT NOT NULL,
    site_id TEXT,
    device_id TEXT,
    created_at TEXT NOT NULL,
    valid INTEGER NOT NULL,
    model_name TEXT NOT NULL,
    input_fingerprint BLOB NOT NULL,
    answer TEXT NOT NULL,
    flags TEXT NOT NULL,
    latency_ms INTEGER NOT NULL,
    slo_ms INTEGER,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
) STRICT;
-- Whatever workers do, a delivery has one outcome.
CREATE UNIQUE INDEX recommendations_by_delivery ON recommendations (tenant_id, delivery_id);
CREATE INDEX recommendations_by_request ON recommendations (tenant_id, request_id, id);
CREATE INDEX recommendations_by_model ON recommendations (tenant_id, model_name, id);
CREATE INDEX recommendations_by_site ON recommendations (tenant_id, site_id, id) WHERE site_id IS NOT NULL;
CREATE INDEX recommendations_by_device ON recommendations (tenant_id, device_id, id) WHERE device_id IS NOT NULL;
-- Most are valid.
CREATE INDEX recommendations_flagged ON recommendations (tenant_id, id) WHERE NOT valid;

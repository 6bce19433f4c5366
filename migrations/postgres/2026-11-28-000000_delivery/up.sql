-- The intention to ask the engine about a request, and what became of it. A replay is another round of the same delivery.
-- `call_id` and `traceparent` tell by which call it was put in the queue.
CREATE TABLE deliveries (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    request_id uuid NOT NULL,
    state text NOT NULL,
    round bigint NOT NULL,
    attempts bigint NOT NULL,
    created_at timestamptz NOT NULL,
    queued_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    failure_code text,
    failure_detail text,
    dead_reason text,
    call_id text NOT NULL,
    traceparent text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id)
);
CREATE UNIQUE INDEX deliveries_by_request ON deliveries (tenant_id, request_id);
CREATE INDEX deliveries_by_state ON deliveries (tenant_id, state, id);

-- What a worker has to see before it knows whose delivery it takes: the one table beside the directory that no wall stands
-- around. It tells that a tenant has deliveries and when they are due, and nothing of what they are about. A delivery is in
-- it while an answer is to come. `due_at` is when the next worker may take it: of one that a worker has, the end of its
-- lease. `fence` counts the claims, so that who had it before is told from who has it.
CREATE TABLE delivery_queue (
    tenant_id text NOT NULL,
    delivery_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
);
CREATE INDEX delivery_queue_by_due ON delivery_queue (due_at);

-- `answer` is what the engine said, as it was understood; the other columns repeat what is looked up in it.
CREATE TABLE recommendations (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    request_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    contract text NOT NULL,
    site_id text,
    device_id text,
    created_at timestamptz NOT NULL,
    valid boolean NOT NULL,
    model_name text NOT NULL,
    input_fingerprint bytea NOT NULL,
    answer text NOT NULL,
    flags text NOT NULL,
    latency_ms bigint NOT NULL,
    slo_ms bigint,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES deliveries (tenant_id, id)
);
-- Whatever workers do, a delivery has one outcome.
CREATE UNIQUE INDEX recommendations_by_delivery ON recommendations (tenant_id, delivery_id);
CREATE INDEX recommendations_by_request ON recommendations (tenant_id, request_id, id);
CREATE INDEX recommendations_by_model ON recommendations (tenant_id, model_name, id);
CREATE INDEX recommendations_by_site ON recommendations (tenant_id, site_id, id) WHERE site_id IS NOT NULL;
CREATE INDEX recommendations_by_device ON recommendations (tenant_id, device_id, id) WHERE device_id IS NOT NULL;
-- Most are valid.
CREATE INDEX recommendations_flagged ON recommendations (tenant_id, id) WHERE NOT valid;

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON deliveries USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE recommendations ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON recommendations USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

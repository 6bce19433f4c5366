-- Every write of a tenant locks its row here first: that puts the tenant's writes, and so its events, in one order.
CREATE TABLE audit_heads (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    size bigint NOT NULL
);

CREATE TABLE audit_events (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    actor_address text,
    action text NOT NULL,
    object_id uuid NOT NULL,
    contract text NOT NULL,
    fingerprint bytea NOT NULL,
    traceparent text,
    request_id text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

CREATE INDEX audit_events_by_object ON audit_events (tenant_id, object_id, sequence);

-- Every write of a tenant locks its row here first: that puts the tenant's writes, and so its events, in one order.
CREATE TABLE audit_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    size INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_events (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BLOB,
    actor_address TEXT,
    action TEXT NOT NULL,
    object_id BLOB NOT NULL,
    contract TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    traceparent TEXT,
    request_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;

CREATE INDEX audit_events_by_object ON audit_events (tenant_id, object_id, sequence);

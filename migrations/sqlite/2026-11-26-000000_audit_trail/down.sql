-- The old table has no room for the events: they are lost.
DROP TRIGGER audit_heads_grow;
DROP TRIGGER audit_heads_stay;
DROP TABLE audit_checkpoints;
DROP TABLE audit_archived_leaves;
DROP TABLE audit_nodes;
DROP TABLE audit_events;
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
ALTER TABLE audit_heads DROP COLUMN frontier;
ALTER TABLE mass_requests DROP COLUMN audit_leaf_hash;
ALTER TABLE mass_requests DROP COLUMN audit_sequence;

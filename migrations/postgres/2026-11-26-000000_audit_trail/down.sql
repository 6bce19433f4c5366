-- The old table has no room for the events: they are lost.
DROP TABLE audit_checkpoints;
DROP TABLE audit_archived_leaves;
DROP TABLE audit_nodes;
DROP TABLE audit_events;
DROP TRIGGER audit_heads_grow ON audit_heads;
DROP TRIGGER audit_heads_stay ON audit_heads;
DROP TRIGGER audit_heads_stay_whole ON audit_heads;
DROP FUNCTION audit_event_is_archived;
DROP FUNCTION audit_trail_only_grows;
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
ALTER TABLE audit_heads DROP COLUMN frontier;
ALTER TABLE mass_requests DROP COLUMN audit_leaf_hash;
ALTER TABLE mass_requests DROP COLUMN audit_sequence;

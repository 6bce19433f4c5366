-- What belongs to no customer, such as starts, stops and log-ins under an unknown address, has a log of its own.
INSERT INTO tenants (id, created_at) VALUES ('system', strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now')) ON CONFLICT DO NOTHING;

-- The right edge of the log's Merkle tree: the roots of its perfect subtrees, 32 bytes each, largest first. Empty beside a
-- size above 0 until the tree is built over the events that were there before it.
ALTER TABLE audit_heads ADD COLUMN frontier BLOB NOT NULL DEFAULT x'';

-- Where the event by which a request was stored stands; 0 and empty if it stood there before the tree was built.
ALTER TABLE mass_requests ADD COLUMN audit_sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mass_requests ADD COLUMN audit_leaf_hash BLOB NOT NULL DEFAULT x'';

-- `event` is the canonical text that the leaf's hash is taken of. The other columns repeat what is looked up in it.
CREATE TABLE audit_events_with_text (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id BLOB,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id TEXT,
    outcome TEXT NOT NULL,
    event TEXT NOT NULL,
    leaf_hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;

INSERT INTO audit_events_with_text
WITH spelled AS (
    SELECT *,
        lower(hex(object_id)) AS object_hex,
        lower(hex(actor_id)) AS actor_hex,
        rtrim(rtrim(rtrim(at, 'Z'), '0'), '.') || 'Z' AS at_text
    FROM audit_events
), named AS (
    SELECT *,
        substr(object_hex, 1, 8) || '-' || substr(object_hex, 9, 4) || '-' || substr(object_hex, 13, 4) || '-'
            || substr(object_hex, 17, 4) || '-' || substr(object_hex, 21) AS object_uuid,
        substr(actor_hex, 1, 8) || '-' || substr(actor_hex, 9, 4) || '-' || substr(actor_hex, 13, 4) || '-'
            || substr(actor_hex, 17, 4) || '-' || substr(actor_hex, 21) AS actor_uuid
    FROM spelled
)
SELECT tenant_id, sequence, at, actor_kind, actor_id, action, 'mass_request', object_uuid, 'success',
    '{"action":"' || action || '","actor":{'
        || coalesce('"address":"' || actor_address || '",', '')
        || CASE WHEN actor_id IS NULL THEN '' ELSE '"id":"' || actor_uuid || '",' END
        || '"kind":"' || actor_kind || '"},"at":"' || at_text || '","contract":"' || contract || '",'
        || CASE WHEN detail = '{}' THEN '' ELSE '"detail":' || detail || ',' END
        || '"object":{"id":"' || object_uuid || '","kind":"mass_request"},"outcome":"success","output":"sha256:'
        || lower(hex(fingerprint)) || '","program":{"commit":"unknown","version":"0.1.0"},"request_id":"' || request_id
        || '","sequence":' || sequence
        || coalesce(',"span_id":"' || substr(traceparent, 37, 16) || '"', '')
        || ',"tenant_id":"' || tenant_id || '"'
        || coalesce(',"trace_id":"' || substr(traceparent, 4, 32) || '"', '') || '}',
    x''
FROM named;

DROP TABLE audit_events;
ALTER TABLE audit_events_with_text RENAME TO audit_events;
CREATE INDEX audit_events_by_object ON audit_events (tenant_id, object_kind, object_id, sequence);
-- Every index is paid for by every request that is accepted, so these leave out what is found soon anyway: nearly all
-- events are acceptances, and successes. Bounds in time need none, since a log is in the order of time.
CREATE INDEX audit_events_by_actor ON audit_events (tenant_id, actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_by_action ON audit_events (tenant_id, action, sequence) WHERE action <> 'accepted';
CREATE INDEX audit_events_refused ON audit_events (tenant_id, sequence) WHERE outcome = 'refused';

-- The roots of the perfect subtrees of 2^8, 2^16, … leaves: what lies between follows from at most 2^7 of them.
CREATE TABLE audit_nodes (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, level, position)
) STRICT;

-- What stays of the events that were moved to an archive.
CREATE TABLE audit_archived_leaves (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;

-- Signed notes, as they were given out.
CREATE TABLE audit_checkpoints (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    size INTEGER NOT NULL,
    at TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (tenant_id, size)
) STRICT;

-- SQLite knows no rights. These keep mistakes away; who removes them and changes something is found by the tree.
CREATE TRIGGER audit_heads_grow BEFORE UPDATE ON audit_heads WHEN NEW.size < OLD.size OR NEW.tenant_id <> OLD.tenant_id
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
-- An event without a hash was there before the tree, and is about to get its place in it.
CREATE TRIGGER audit_events_keep BEFORE UPDATE ON audit_events WHEN length(OLD.leaf_hash) > 0
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events WHEN NOT EXISTS (
    SELECT 1 FROM audit_archived_leaves AS leaf
    WHERE leaf.tenant_id = OLD.tenant_id AND leaf.sequence = OLD.sequence AND leaf.leaf_hash = OLD.leaf_hash
)
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_nodes_keep BEFORE UPDATE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_nodes_stay BEFORE DELETE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_archived_leaves_keep BEFORE UPDATE ON audit_archived_leaves
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_archived_leaves_stay BEFORE DELETE ON audit_archived_leaves
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_checkpoints_keep BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;

-- What belongs to no customer, such as starts, stops and log-ins under an unknown address, has a log of its own.
INSERT INTO tenants (id, created_at) VALUES ('system', date_trunc('second', now())) ON CONFLICT DO NOTHING;

-- The right edge of the log's Merkle tree: the roots of its perfect subtrees, 32 bytes each, largest first. Empty beside a
-- size above 0 until the tree is built over the events that were there before it.
ALTER TABLE audit_heads ADD COLUMN frontier bytea NOT NULL DEFAULT '';

-- Where the event by which a request was stored stands; 0 and empty if it stood there before the tree was built.
ALTER TABLE mass_requests ADD COLUMN audit_sequence bigint NOT NULL DEFAULT 0;
ALTER TABLE mass_requests ADD COLUMN audit_leaf_hash bytea NOT NULL DEFAULT '';

-- `event` is the canonical text that the leaf's hash is taken of. The other columns repeat what is looked up in it.
CREATE TABLE audit_events_with_text (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text,
    outcome text NOT NULL,
    event text NOT NULL,
    leaf_hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

INSERT INTO audit_events_with_text
SELECT tenant_id, sequence, at, actor_kind, actor_id, action, 'mass_request', object_id::text, 'success',
    '{"action":"' || action || '","actor":{'
        || coalesce('"address":"' || actor_address || '",', '')
        || coalesce('"id":"' || actor_id::text || '",', '')
        || '"kind":"' || actor_kind || '"},"at":"'
        || rtrim(rtrim(to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'
        || '","contract":"' || contract || '",'
        || CASE WHEN detail = '{}' THEN '' ELSE '"detail":' || detail || ',' END
        || '"object":{"id":"' || object_id::text || '","kind":"mass_request"},"outcome":"success","output":"sha256:'
        || encode(fingerprint, 'hex') || '","program":{"commit":"unknown","version":"0.1.0"},"request_id":"' || request_id
        || '","sequence":' || sequence
        || coalesce(',"span_id":"' || substr(traceparent, 37, 16) || '"', '')
        || ',"tenant_id":"' || tenant_id || '"'
        || coalesce(',"trace_id":"' || substr(traceparent, 4, 32) || '"', '') || '}',
    ''
FROM audit_events;

DROP TABLE audit_events;
ALTER TABLE audit_events_with_text RENAME TO audit_events;
ALTER TABLE audit_events RENAME CONSTRAINT audit_events_with_text_pkey TO audit_events_pkey;
CREATE INDEX audit_events_by_object ON audit_events (tenant_id, object_kind, object_id, sequence);
-- Every index is paid for by every request that is accepted, so these leave out what is found soon anyway: nearly all
-- events are acceptances, and successes. Bounds in time need none, since a log is in the order of time.
CREATE INDEX audit_events_by_actor ON audit_events (tenant_id, actor_id, sequence) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_events_by_action ON audit_events (tenant_id, action, sequence) WHERE action <> 'accepted';
CREATE INDEX audit_events_refused ON audit_events (tenant_id, sequence) WHERE outcome = 'refused';

-- The roots of the perfect subtrees of 2^8, 2^16, … leaves: what lies between follows from at most 2^7 of them.
CREATE TABLE audit_nodes (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    level bigint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, level, position)
);

-- What stays of the events that were moved to an archive.
CREATE TABLE audit_archived_leaves (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    sequence bigint NOT NULL,
    leaf_hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

-- Signed notes, as they were given out.
CREATE TABLE audit_checkpoints (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    size bigint NOT NULL,
    at timestamptz NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (tenant_id, size)
);

DO $$
DECLARE
    walled text;
BEGIN
    FOREACH walled IN ARRAY ARRAY['audit_events', 'audit_nodes', 'audit_archived_leaves', 'audit_checkpoints'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''mass.tenant'', true), ''''))', walled
        );
    END LOOP;
END
$$;

-- A role of its own for the server has no rights to change or remove anything here. These triggers keep mistakes away
-- where the owner serves; who removes them and changes something is found by the tree.
CREATE FUNCTION audit_trail_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail only grows';
END
$$;

CREATE TRIGGER audit_heads_grow BEFORE UPDATE ON audit_heads FOR EACH ROW
    WHEN (NEW.size < OLD.size OR NEW.tenant_id <> OLD.tenant_id) EXECUTE FUNCTION audit_trail_only_grows();
-- An event without a hash was there before the tree, and is about to get its place in it.
CREATE TRIGGER audit_events_keep BEFORE UPDATE ON audit_events FOR EACH ROW
    WHEN (length(OLD.leaf_hash) > 0) EXECUTE FUNCTION audit_trail_only_grows();

CREATE FUNCTION audit_event_is_archived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM audit_archived_leaves AS leaf
        WHERE leaf.tenant_id = OLD.tenant_id AND leaf.sequence = OLD.sequence AND leaf.leaf_hash = OLD.leaf_hash
    ) THEN
        RAISE EXCEPTION 'the audit trail only grows';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_event_is_archived();

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['audit_nodes', 'audit_archived_leaves', 'audit_checkpoints'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION audit_trail_only_grows()',
            kept || '_keep', kept
        );
    END LOOP;
    FOREACH kept IN ARRAY
        ARRAY['audit_heads', 'audit_events', 'audit_nodes', 'audit_archived_leaves', 'audit_checkpoints']
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION audit_trail_only_grows()',
            kept || '_stay_whole', kept
        );
    END LOOP;
END
$$;
CREATE TRIGGER audit_heads_stay BEFORE DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_trail_only_grows();

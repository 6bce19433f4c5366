CREATE OR REPLACE FUNCTION audit_head_has_its_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before bigint := CASE TG_OP WHEN 'INSERT' THEN 0 ELSE OLD.size END;
    consistent boolean;
BEGIN
    SELECT head.size - before = (
            SELECT count(*) FROM audit_events AS event
            WHERE event.tenant_id = head.tenant_id AND event.sequence > before AND event.sequence <= head.size
        )
        AND head.size = coalesce(
            (SELECT max(event.sequence) FROM audit_events AS event WHERE event.tenant_id = head.tenant_id),
            (SELECT max(leaf.sequence) FROM audit_archived_leaves AS leaf WHERE leaf.tenant_id = head.tenant_id),
            0
        )
        -- One root of 32 bytes for each one in the binary notation of the size.
        AND length(head.frontier) = 32 * length(replace(head.size::bit(64)::text, '0', ''))
        INTO consistent
        FROM audit_heads AS head WHERE head.tenant_id = NEW.tenant_id;
    IF consistent IS NOT TRUE THEN
        RAISE EXCEPTION 'the audit trail only grows, and its head moves with its events';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION audit_events_are_at_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added record;
BEGIN
    FOR added IN
        SELECT event.tenant_id, min(event.sequence) AS first, max(event.sequence) AS last,
            bool_and(length(event.leaf_hash) = 32) AS hashed,
            (SELECT head.size FROM audit_heads AS head WHERE head.tenant_id = event.tenant_id) AS size,
            (SELECT max(leaf.sequence) FROM audit_archived_leaves AS leaf WHERE leaf.tenant_id = event.tenant_id) AS archived
        FROM new_events AS event GROUP BY event.tenant_id
    LOOP
        IF added.size IS NULL OR NOT added.hashed OR added.first <= coalesce(added.archived, 0) THEN
            RAISE EXCEPTION 'the audit trail only grows, by events at its end';
        END IF;
        -- The head is yet to be moved: touched, it is compared at the end of the transaction.
        IF added.last > added.size THEN
            UPDATE audit_heads SET size = size WHERE tenant_id = added.tenant_id;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    guard text;
BEGIN
    FOREACH guard IN ARRAY ARRAY['audit_head_has_its_events', 'audit_events_are_at_the_end'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', guard, current_schema());
    END LOOP;
END
$$;

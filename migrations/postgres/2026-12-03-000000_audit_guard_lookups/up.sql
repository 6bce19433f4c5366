-- The guards of the audit trail look up its end by its key, and count nothing. PostgreSQL plans a guard's statements while
-- the table is small, when each index seems as good, and keeps the plan: a look-up through an index that begins with the
-- tenant alone then reads ever more of the log. Only the primary key gives rows in the order of their sequence without a sort,
-- so the guards ask for that order and are not allowed to sort.
--
-- Events follow one another without a gap, so the head is where it should be if there is an event there and none behind.
CREATE OR REPLACE FUNCTION audit_head_has_its_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head record;
    behind bigint[];
BEGIN
    SELECT size, frontier INTO head FROM audit_heads WHERE tenant_id = NEW.tenant_id;
    behind := ARRAY(
        SELECT sequence FROM audit_events
        WHERE tenant_id = NEW.tenant_id AND sequence >= head.size ORDER BY sequence LIMIT 2
    );
    IF head.size IS NULL
        OR behind <> ARRAY[head.size] AND NOT (
            behind = '{}'
            AND head.size = coalesce(
                (SELECT max(sequence) FROM audit_archived_leaves WHERE tenant_id = NEW.tenant_id), 0
            )
        )
        -- One root of 32 bytes for each one in the binary notation of the size.
        OR length(head.frontier) <> 32 * length(replace(head.size::bit(64)::text, '0', ''))
    THEN
        RAISE EXCEPTION 'the audit trail only grows, and its head moves with its events';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION audit_events_are_at_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    added record;
    head_size bigint;
    before bigint;
BEGIN
    FOR added IN
        SELECT event.tenant_id, min(event.sequence) AS first, max(event.sequence) AS last, count(*) AS events,
            bool_and(length(event.leaf_hash) = 32) AS hashed
        FROM new_events AS event GROUP BY event.tenant_id
    LOOP
        SELECT size INTO head_size FROM audit_heads WHERE tenant_id = added.tenant_id;
        before := (
            SELECT sequence FROM audit_events
            WHERE tenant_id = added.tenant_id AND sequence < added.first ORDER BY sequence DESC LIMIT 1
        );
        IF before IS NULL THEN
            before := (SELECT max(sequence) FROM audit_archived_leaves WHERE tenant_id = added.tenant_id);
        END IF;
        IF head_size IS NULL OR NOT added.hashed OR added.first <> coalesce(before, 0) + 1
            OR added.last - added.first + 1 <> added.events
        THEN
            RAISE EXCEPTION 'the audit trail only grows, by events at its end';
        END IF;
        -- The head is yet to be moved: touched, it is compared at the end of the transaction.
        IF added.last > head_size THEN
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
        EXECUTE format(
            'ALTER FUNCTION %I() SET search_path = %I, pg_temp SET enable_seqscan = off SET enable_sort = off',
            guard, current_schema()
        );
    END LOOP;
END
$$;

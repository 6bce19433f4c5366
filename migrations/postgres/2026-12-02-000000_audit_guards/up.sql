-- A log grows by events at its end alone, and its head moves with them: neither can be written without the other. These
-- guards hold the role that serves, too, which needs the rights to insert events and to move the head.
--
-- Deferred to the end of the transaction, so that it does not matter which of the two is written first.
CREATE FUNCTION audit_head_has_its_events() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE CONSTRAINT TRIGGER audit_heads_follow AFTER INSERT OR UPDATE ON audit_heads DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_head_has_its_events();

-- The roots change with the size alone, but for those of a log that is older than its tree.
CREATE TRIGGER audit_heads_hold BEFORE UPDATE ON audit_heads FOR EACH ROW
    WHEN (NEW.size = OLD.size AND NEW.frontier <> OLD.frontier AND length(OLD.frontier) > 0)
    EXECUTE FUNCTION audit_trail_only_grows();

-- Once for each statement, however many events it inserts.
CREATE FUNCTION audit_events_are_at_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER audit_events_follow AFTER INSERT ON audit_events REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_are_at_the_end();

-- A root of leaves that are yet to come would stand in the way of the right one.
CREATE FUNCTION audit_node_is_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.level NOT BETWEEN 1 AND 62 OR NEW.position < 0 OR length(NEW.hash) <> 32 OR NOT EXISTS (
        SELECT FROM audit_heads AS head
        WHERE head.tenant_id = NEW.tenant_id AND NEW.position < head.size >> NEW.level::int
    ) THEN
        RAISE EXCEPTION 'the audit trail only grows, by nodes over its events';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER audit_nodes_follow AFTER INSERT ON audit_nodes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_node_is_complete();

CREATE FUNCTION audit_checkpoint_is_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < 0 OR NOT EXISTS (
        SELECT FROM audit_heads AS head WHERE head.tenant_id = NEW.tenant_id AND NEW.size <= head.size
    ) THEN
        RAISE EXCEPTION 'the audit trail only grows, by checkpoints of its events';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_checkpoints_follow BEFORE INSERT ON audit_checkpoints
    FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_is_of_events();

-- Whoever may make temporary tables would otherwise choose which tables a function reads. What counts the changes of
-- credentials runs with its owner's rights, so that the role that serves need not be able to set the count.
DO $$
DECLARE
    guard text;
BEGIN
    FOREACH guard IN ARRAY ARRAY[
        'audit_head_has_its_events', 'audit_events_are_at_the_end', 'audit_node_is_complete',
        'audit_checkpoint_is_of_events', 'audit_event_is_archived'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', guard, current_schema());
    END LOOP;
    FOREACH guard IN ARRAY ARRAY['credentials_are_gone', 'users_are_others', 'sessions_are_others', 'api_keys_are_others']
    LOOP
        EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', guard, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %I() FROM PUBLIC', guard);
    END LOOP;
END
$$;

DO $$
DECLARE
    guard text;
BEGIN
    FOREACH guard IN ARRAY ARRAY['credentials_are_gone', 'users_are_others', 'sessions_are_others', 'api_keys_are_others']
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %I() TO PUBLIC', guard);
        EXECUTE format('ALTER FUNCTION %I() SECURITY INVOKER RESET search_path', guard);
    END LOOP;
END
$$;
ALTER FUNCTION audit_event_is_archived() RESET search_path;
DROP TRIGGER audit_checkpoints_follow ON audit_checkpoints;
DROP FUNCTION audit_checkpoint_is_of_events;
DROP TRIGGER audit_nodes_follow ON audit_nodes;
DROP FUNCTION audit_node_is_complete;
DROP TRIGGER audit_events_follow ON audit_events;
DROP FUNCTION audit_events_are_at_the_end;
DROP TRIGGER audit_heads_hold ON audit_heads;
DROP TRIGGER audit_heads_follow ON audit_heads;
DROP FUNCTION audit_head_has_its_events;

DO $$
DECLARE
    credentials text;
BEGIN
    FOREACH credentials IN ARRAY ARRAY['users', 'sessions', 'api_keys'] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', credentials || '_removed', credentials);
        EXECUTE format('DROP TRIGGER %I ON %I', credentials || '_changed', credentials);
        EXECUTE format('DROP FUNCTION %I()', credentials || '_are_others');
    END LOOP;
END
$$;
DROP FUNCTION credentials_are_gone;
ALTER TABLE tenants DROP COLUMN credentials_version;

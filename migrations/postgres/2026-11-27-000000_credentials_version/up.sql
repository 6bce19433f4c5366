-- Counts what changes who a credential of the tenant stands for, so that a server can tell by this one number whether
-- what it remembers of a caller still holds. It stands beside the tenants rather than behind the walls: it is read
-- before anything else, and tells nothing.
ALTER TABLE tenants ADD COLUMN credentials_version bigint NOT NULL DEFAULT 0;

-- Triggers, so that neither a statement that is yet to be written nor one that is run by hand can forget it. They fire
-- once for each statement, however many rows it changes: the sessions of a user are ended together.
CREATE FUNCTION credentials_are_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (SELECT tenant_id FROM old_rows);
    RETURN NULL;
END
$$;

CREATE FUNCTION users_are_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.email, was.roles, was.disabled_at) IS DISTINCT FROM (now.email, now.roles, now.disabled_at)
    );
    RETURN NULL;
END
$$;

-- A session that lives longer than it would have, as a refreshed one, opens nothing else than before.
CREATE FUNCTION sessions_are_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.user_id, was.revoked_at) IS DISTINCT FROM (now.user_id, now.revoked_at)
            OR now.expires_at < was.expires_at
    );
    RETURN NULL;
END
$$;

CREATE FUNCTION api_keys_are_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.prefix, was.secret_hash, was.permissions, was.addresses, was.expires_at, was.revoked_at)
            IS DISTINCT FROM (now.prefix, now.secret_hash, now.permissions, now.addresses, now.expires_at, now.revoked_at)
    );
    RETURN NULL;
END
$$;

DO $$
DECLARE
    credentials text;
BEGIN
    FOREACH credentials IN ARRAY ARRAY['users', 'sessions', 'api_keys'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows '
                'FOR EACH STATEMENT EXECUTE FUNCTION %I()',
            credentials || '_changed', credentials, credentials || '_are_others'
        );
        EXECUTE format(
            'CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS old_rows '
                'FOR EACH STATEMENT EXECUTE FUNCTION credentials_are_gone()',
            credentials || '_removed', credentials
        );
    END LOOP;
END
$$;

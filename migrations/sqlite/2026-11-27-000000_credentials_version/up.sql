-- Counts what changes who a credential of the tenant stands for, so that a server can tell by this one number whether
-- what it remembers of a caller still holds.
ALTER TABLE tenants ADD COLUMN credentials_version INTEGER NOT NULL DEFAULT 0;

-- Triggers, so that neither a statement that is yet to be written nor one that is run by hand can forget it.
CREATE TRIGGER users_changed AFTER UPDATE ON users
WHEN (OLD.tenant_id, OLD.id, OLD.email, OLD.roles, OLD.disabled_at)
    IS NOT (NEW.tenant_id, NEW.id, NEW.email, NEW.roles, NEW.disabled_at)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

-- A session that lives longer than it would have, as a refreshed one, opens nothing else than before.
CREATE TRIGGER sessions_changed AFTER UPDATE ON sessions
WHEN (OLD.tenant_id, OLD.id, OLD.user_id, OLD.revoked_at) IS NOT (NEW.tenant_id, NEW.id, NEW.user_id, NEW.revoked_at)
    OR NEW.expires_at < OLD.expires_at
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

CREATE TRIGGER api_keys_changed AFTER UPDATE ON api_keys
WHEN (OLD.tenant_id, OLD.id, OLD.prefix, OLD.secret_hash, OLD.permissions, OLD.addresses, OLD.expires_at, OLD.revoked_at)
    IS NOT (NEW.tenant_id, NEW.id, NEW.prefix, NEW.secret_hash, NEW.permissions, NEW.addresses, NEW.expires_at, NEW.revoked_at)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

CREATE TRIGGER users_removed AFTER DELETE ON users
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

CREATE TRIGGER sessions_removed AFTER DELETE ON sessions
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

CREATE TRIGGER api_keys_removed AFTER DELETE ON api_keys
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = OLD.tenant_id;
END;

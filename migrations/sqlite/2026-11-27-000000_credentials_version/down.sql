DROP TRIGGER api_keys_removed;
DROP TRIGGER sessions_removed;
DROP TRIGGER users_removed;
DROP TRIGGER api_keys_changed;
DROP TRIGGER sessions_changed;
DROP TRIGGER users_changed;
ALTER TABLE tenants DROP COLUMN credentials_version;

-- The server advances the version of a tenant's credentials itself, beside the triggers on users, sessions and keys, which tables
-- that are distributed over several nodes cannot have. The role that serves may therefore set it. This keeps a version from coming
-- back: a server may have cached a principal at it that has lost its rights since.
--
-- The triggers stay, for servers of an older program that run until they are replaced, and for changes by hand.
CREATE FUNCTION credentials_version_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the version of credentials only grows';
END
$$;
CREATE TRIGGER credentials_version_grows BEFORE UPDATE ON tenants FOR EACH ROW
    WHEN (NEW.credentials_version < OLD.credentials_version) EXECUTE FUNCTION credentials_version_only_grows();

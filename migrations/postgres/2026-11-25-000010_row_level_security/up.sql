-- The second wall between tenants, behind the predicates of the statements: whoever is neither the owner of a table nor
-- a superuser sees and writes the rows of the tenant alone that the transaction names in mass.tenant. Until one is
-- named there is none: the setting is NULL at first, and '' after a transaction in which it had been named.
--
-- A later migration that makes a table with a tenant_id ends with the same two statements for it.
DO $$
DECLARE
    walled regclass;
BEGIN
    FOR walled IN
        SELECT t.oid FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid
        WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND a.attname = 'tenant_id'
            -- What is looked up in it is what tells the tenant.
            AND t.relname <> 'directory'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
        EXECUTE format(
            'CREATE POLICY tenant ON %s USING (tenant_id = nullif(current_setting(''mass.tenant'', true), ''''))', walled
        );
    END LOOP;
END
$$;

-- Old keys are forgotten tenant by tenant.
DROP INDEX idempotency_keys_by_age;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (tenant_id, created_at);

-- Distributes the tables of MASS over a Citus cluster, by `tenant_id`: all rows of a tenant lie on one node. docs/scale.md says
-- when that is worth its price, and what has to be there before.
--
-- Run it in the coordinator's database as the role that owns the tables, while no server runs, after `mass migrate`:
--
--     psql "$MASS_MIGRATION_DATABASE_URL" -v ON_ERROR_STOP=1 -f scripts/distribute.sql
--
-- and again after each `mass migrate` that has applied migrations. It does what is left to do, in one transaction: all of it or
-- nothing. Which tables there are, it reads from the catalogue.

BEGIN;

DO $$
BEGIN
    IF to_regproc('create_distributed_table') IS NULL THEN
        RAISE EXCEPTION 'this database has no Citus: run CREATE EXTENSION citus in it, and add the workers';
    END IF;
    -- The triggers that guard the audit trail look at rows of the same tenant alone, which are on the same node.
    IF coalesce(current_setting('citus.enable_unsafe_triggers', true), 'off') NOT IN ('on', 'true') THEN
        RAISE EXCEPTION 'citus.enable_unsafe_triggers is off: set it on all nodes'
            USING HINT = 'SELECT run_command_on_all_nodes(''ALTER SYSTEM SET citus.enable_unsafe_triggers = on''), '
                'and then SELECT run_command_on_all_nodes(''SELECT pg_reload_conf()''), as a superuser';
    END IF;
    IF to_regclass('audit_heads') IS NULL THEN
        RAISE EXCEPTION 'there are no tables: run mass migrate first';
    END IF;
END
$$;

-- Foreign keys that are added while tables refer to one another must see each shard in turn.
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- Within a transaction, the server names its tenant by SET LOCAL, which the policies on the other nodes read.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET citus.propagate_set_commands = ''local''', current_database());
END
$$;

-- The tenants with something in the queue for the engine, on the coordinator alone. That it exists tells the server that the
-- tables are distributed.
CREATE TABLE IF NOT EXISTS delivery_turns (tenant_id text NOT NULL PRIMARY KEY);
INSERT INTO delivery_turns SELECT DISTINCT tenant_id FROM delivery_queue ON CONFLICT DO NOTHING;

-- A trigger on a tenant's node cannot change `tenants`, which is on all of them. The server advances the version of credentials
-- itself; whoever changes users, sessions or keys by hand has to do so, too.
DO $$
DECLARE
    advancing record;
BEGIN
    FOR advancing IN
        SELECT tgrelid::regclass AS place, tgname AS name FROM pg_trigger JOIN pg_proc AS called ON called.oid = tgfoid
        WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
            AND called.proname IN ('credentials_are_gone', 'users_are_others', 'sessions_are_others', 'api_keys_are_others')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', advancing.name, advancing.place);
    END LOOP;
END
$$;

DO $$
DECLARE
    -- Whose key begins with the tenant.
    of_tenants regclass[] := ARRAY(
        SELECT t.oid::regclass FROM pg_class AS t JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisprimary
        JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
        WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
            AND a.attname = 'tenant_id' AND t.relname <> 'delivery_turns'
        -- The others are laid out like this one.
        ORDER BY t.relname <> 'audit_heads', t.relname
    );
    -- What these refer to, and what refers to that in turn: small, and on every node.
    of_all regclass[] := ARRAY(
        SELECT DISTINCT confrelid::regclass FROM pg_constraint
        WHERE contype = 'f' AND conrelid = ANY (of_tenants) AND confrelid <> ALL (of_tenants)
    );
    left_to_do regclass[];
    keys text[];
    key text;
    place regclass;
BEGIN
    of_all := of_all || ARRAY(
        SELECT DISTINCT conrelid::regclass FROM pg_constraint
        WHERE contype = 'f' AND confrelid = ANY (of_all) AND conrelid <> ALL (of_tenants) AND conrelid <> ALL (of_all)
    );
    left_to_do := ARRAY(
        SELECT t FROM unnest(of_tenants) AS t
        WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrel = t AND partmethod = 'h')
        UNION ALL
        SELECT t FROM unnest(of_all) AS t
        -- Of the tables that are not distributed by a column, those on every node have this model of replication.
        WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrel = t AND partmethod = 'n' AND repmodel = 't')
    );
    -- While tables are being distributed, no foreign key may lead from one that is to one that is not, or back.
    keys := ARRAY(
        SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint
        WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY (left_to_do) OR confrelid = ANY (left_to_do))
    );
    FOR place, key IN
        SELECT conrelid::regclass, conname FROM pg_constraint
        WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY (left_to_do) OR confrelid = ANY (left_to_do))
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', place, key);
    END LOOP;
    FOREACH place IN ARRAY of_all LOOP
        IF place = ANY (left_to_do) THEN
            PERFORM create_reference_table(place);
        END IF;
    END LOOP;
    FOREACH place IN ARRAY of_tenants LOOP
        IF place = ANY (left_to_do) THEN
            PERFORM create_distributed_table(
                place, 'tenant_id', colocate_with => CASE WHEN place = of_tenants[1] THEN 'none' ELSE of_tenants[1]::text END
            );
        END IF;
    END LOOP;
    FOREACH key IN ARRAY keys LOOP
        EXECUTE key;
    END LOOP;
    RAISE NOTICE 'distributed % tables, with % foreign keys', coalesce(array_length(left_to_do, 1), 0), coalesce(array_length(keys, 1), 0);
    RAISE NOTICE 'a transaction that is in doubt after the loss of a node keeps its tenant waiting for citus.recover_2pc_interval (%)',
        coalesce(current_setting('citus.recover_2pc_interval', true), 'unknown');
END
$$;

COMMIT;

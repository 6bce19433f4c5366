


SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;


CREATE FUNCTION public.api_keys_are_others() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.prefix, was.secret_hash, was.permissions, was.addresses, was.expires_at, was.revoked_at)
            IS DISTINCT FROM (now.prefix, now.secret_hash, now.permissions, now.addresses, now.expires_at, now.revoked_at)
    );
    RETURN NULL;
END
$$;



CREATE FUNCTION public.audit_event_is_archived() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM audit_archived_leaves AS leaf
        WHERE leaf.tenant_id = OLD.tenant_id AND leaf.sequence = OLD.sequence AND leaf.leaf_hash = OLD.leaf_hash
    ) THEN
        RAISE EXCEPTION 'the audit trail only grows';
    END IF;
    RETURN OLD;
END
$$;



CREATE FUNCTION public.audit_trail_only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail only grows';
END
$$;



CREATE FUNCTION public.credentials_are_gone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (SELECT tenant_id FROM old_rows);
    RETURN NULL;
END
$$;



CREATE FUNCTION public.sessions_are_others() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.user_id, was.revoked_at) IS DISTINCT FROM (now.user_id, now.revoked_at)
            OR now.expires_at < was.expires_at
    );
    RETURN NULL;
END
$$;



CREATE FUNCTION public.users_are_others() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT was.tenant_id FROM old_rows AS was LEFT JOIN new_rows AS now USING (tenant_id, id)
        WHERE (was.email, was.roles, was.disabled_at) IS DISTINCT FROM (now.email, now.roles, now.disabled_at)
    );
    RETURN NULL;
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;


CREATE TABLE public.__diesel_schema_migrations (
    version character varying(50) NOT NULL,
    run_on timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);



CREATE TABLE public.api_keys (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL,
    name text NOT NULL,
    permissions text NOT NULL,
    addresses text NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    revoked_at timestamp with time zone
);



CREATE TABLE public.audit_archived_leaves (
    tenant_id text NOT NULL,
    sequence bigint NOT NULL,
    leaf_hash bytea NOT NULL
);



CREATE TABLE public.audit_checkpoints (
    tenant_id text NOT NULL,
    size bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    note text NOT NULL
);



CREATE TABLE public.audit_events (
    tenant_id text NOT NULL,
    sequence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_id text,
    outcome text NOT NULL,
    event text NOT NULL,
    leaf_hash bytea NOT NULL
);



CREATE TABLE public.audit_heads (
    tenant_id text NOT NULL,
    size bigint NOT NULL,
    frontier bytea DEFAULT '\x'::bytea NOT NULL
);



CREATE TABLE public.audit_nodes (
    tenant_id text NOT NULL,
    level bigint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL
);



CREATE TABLE public.deliveries (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    request_id uuid NOT NULL,
    state text NOT NULL,
    round bigint NOT NULL,
    attempts bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    queued_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    failure_code text,
    failure_detail text,
    dead_reason text,
    call_id text NOT NULL,
    traceparent text
);



CREATE TABLE public.delivery_queue (
    tenant_id text NOT NULL,
    delivery_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    worker text,
    fence bigint NOT NULL,
    trace_flags bigint
);



CREATE TABLE public.directory (
    kind text NOT NULL,
    key text NOT NULL,
    tenant_id text NOT NULL,
    object_id uuid NOT NULL
);



CREATE TABLE public.idempotency_keys (
    tenant_id text NOT NULL,
    key text NOT NULL,
    request_id uuid NOT NULL,
    contract text NOT NULL,
    fingerprint bytea NOT NULL,
    outcome text NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    corrected_by uuid,
    created_at timestamp with time zone NOT NULL
);



CREATE TABLE public.login_attempts (
    key bytea NOT NULL,
    failures bigint NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    succeeded_at timestamp with time zone
);



CREATE TABLE public.mass_requests (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    contract text NOT NULL,
    status text NOT NULL,
    outcome text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    correlation_id text,
    idempotency_key text,
    site_id text,
    device_id text,
    observed_at timestamp with time zone,
    natural_key text,
    fingerprint bytea NOT NULL,
    document text NOT NULL,
    warnings text NOT NULL,
    corrects uuid,
    corrected_by uuid,
    deleted_at timestamp with time zone,
    audit_sequence bigint DEFAULT 0 NOT NULL,
    audit_leaf_hash bytea DEFAULT '\x'::bytea NOT NULL
);



CREATE TABLE public.quotas (
    tenant_id text NOT NULL,
    requests_per_day bigint,
    stored_bytes bigint,
    updated_at timestamp with time zone NOT NULL
);



CREATE TABLE public.recommendations (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    request_id uuid NOT NULL,
    delivery_id uuid NOT NULL,
    contract text NOT NULL,
    site_id text,
    device_id text,
    created_at timestamp with time zone NOT NULL,
    valid boolean NOT NULL,
    model_name text NOT NULL,
    input_fingerprint bytea NOT NULL,
    answer text NOT NULL,
    flags text NOT NULL,
    latency_ms bigint NOT NULL,
    slo_ms bigint
);



CREATE TABLE public.refresh_tokens (
    tenant_id text NOT NULL,
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    spent_at timestamp with time zone
);



CREATE TABLE public.sessions (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);



CREATE TABLE public.tenant_usage (
    tenant_id text NOT NULL,
    day bigint NOT NULL,
    requests bigint NOT NULL,
    stored_bytes bigint NOT NULL
);



CREATE TABLE public.tenants (
    id text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    credentials_version bigint DEFAULT 0 NOT NULL,
    auto_send boolean
);



CREATE TABLE public.users (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    password_hash text NOT NULL,
    roles text NOT NULL,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);



INSERT INTO public.__diesel_schema_migrations VALUES ('20261124000001', '2026-11-29 07:06:54.96564');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261124000002', '2026-11-29 07:06:54.982397');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261124000003', '2026-11-29 07:06:54.994828');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000000', '2026-11-29 07:06:55.026266');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000001', '2026-11-29 07:06:55.036778');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000002', '2026-11-29 07:06:55.063627');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000010', '2026-11-29 07:06:55.081129');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000011', '2026-11-29 07:06:55.086091');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261126000000', '2026-11-29 07:06:55.092809');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261127000000', '2026-11-29 07:06:55.126103');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261128000000', '2026-11-29 07:06:55.127008');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261129000000', '2026-11-29 07:06:55.148189');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261129000001', '2026-11-29 07:06:55.148806');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261130000000', '2026-11-29 07:06:55.149954');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261201000000', '2026-11-29 07:06:55.151263');



INSERT INTO public.api_keys VALUES ('default', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'evppdb6v08dx', '\x5f344b2a3205b502662b8a746103122e1969f4b24f2ccaddb4ad070e2c4aa046', 'gateway', 'mass:read,mass:write', '', NULL, '2026-11-29 07:06:55.979093+00', '2026-11-29 07:06:55.976327+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', NULL);






INSERT INTO public.audit_checkpoints VALUES ('default', 2, '2026-11-29 07:06:55.304091+00', 'mass.local/default
2
c2MZyJrzGNnNbji2QP3+qb4DdmFL8009RmaGfMb4hJ8=

— mass.local BMtmVY7OxkmI8yQ3ZIaafrExru+D9lhE1l3kLCU+R2i44jhF03G/9Onp2UttCR1DEB2mBHaPuZ6TaRRMbhhYkAjNjgM=
');
INSERT INTO public.audit_checkpoints VALUES ('system', 1, '2026-11-29 07:06:55.3057+00', 'mass.local/system
1
vXH69CjwiTK4VMzwmT9TJlVq7u6UXR9VUSUnqin7aAY=

— mass.local BMtmVfMLJsfbYT+l6WHy6MDNqoy7cBBl+pewIrOEBxbVgzFypgX7X4a38SotvkrrEXoOjD7kgyat/Ts2V1qhR7wLGQQ=
');



INSERT INTO public.audit_events VALUES ('default', 1, '2026-11-29 07:06:55.239694+00', 'system', NULL, 'tenant_created', 'tenant', 'default', 'success', '{"action":"tenant_created","actor":{"kind":"system"},"at":"2026-11-29T07:06:55.239694Z","object":{"id":"default","kind":"tenant"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d33a-717d-aebe-8f00d3a72edd","sequence":1,"tenant_id":"default"}', '\xc53e4d924a1661ef80e9e0da23956832cb6905772b9f9eaa2cfc116c69c1c340');
INSERT INTO public.audit_events VALUES ('default', 2, '2026-11-29 07:06:55.239694+00', 'system', NULL, 'user_created', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'success', '{"action":"user_created","actor":{"kind":"system"},"at":"2026-11-29T07:06:55.239694Z","detail":{"roles":["operator","admin","platform_admin"]},"object":{"id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d33a-717d-aebe-8f00d3a72edd","sequence":2,"tenant_id":"default"}', '\xd3593845818190e172cf37ea4c3202afa92a5a68524e398a3b62041974ca9050');
INSERT INTO public.audit_events VALUES ('system', 1, '2026-11-29 07:06:55.255585+00', 'system', NULL, 'started', 'server', NULL, 'success', '{"action":"started","actor":{"kind":"system"},"at":"2026-11-29T07:06:55.255585Z","detail":{"configuration":{"ACCESS_TOKEN_EXPIRE_MINUTES":"15","DATABASE_URL":"(PostgreSQL at 127.0.0.1:54320/faults_fixture)","MASS_ADDRESS_RATE_LIMIT_PER_MINUTE":"60","MASS_ADMIN_EMAIL":"admin@mass.local","MASS_ADMIN_PASSWORD":"(set, not shown)","MASS_ALLOW_REGISTRATION":"false","MASS_AUDIT_CHECKPOINT_SECONDS":"60","MASS_AUDIT_KEY":"(set, not shown)","MASS_AUDIT_NAME":"mass.local","MASS_AUTO_SEND":"false","MASS_BCRYPT_COST":"10","MASS_BODY_LIMIT_BYTES":"1048576","MASS_CORS_ORIGINS":"","MASS_DATA_DIR":"data","MASS_ENGINE_ALLOWED_HOSTS":"","MASS_ENGINE_CONCURRENCY":"4","MASS_ENGINE_DEADLINE_SECONDS":"86400","MASS_ENGINE_LEASE_SECONDS":"30","MASS_ENGINE_TIMEOUT_MS":"10000","MASS_ENGINE_TOKEN":"(not set)","MASS_ENGINE_URL":"(not set)","MASS_ENV":"development","MASS_HOST":"127.0.0.1","MASS_LOG":"info","MASS_LOG_FORMAT":"pretty","MASS_MIGRATION_DATABASE_URL":"(DATABASE_URL)","MASS_PASSWORD_PEPPER":"(not set)","MASS_PORT":"0","MASS_RATE_LIMIT_PER_MINUTE":"6000","MASS_STATEMENT_CACHE":"true","MASS_TENANT":"default","MASS_TENANT_RATE_LIMIT_PER_MINUTE":"60000","MASS_TOKEN_ALGORITHM":"HS256","MASS_TRUSTED_PROXIES":"","OTEL_EXPORTER_OTLP_ENDPOINT":"(not set)","OTEL_EXPORTER_OTLP_METRICS_ENDPOINT":"(not set)","OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":"(not set)","OTEL_SDK_DISABLED":"false","SECRET_KEY":"(set, not shown)","SECRET_KEY_PREVIOUS":"(not set)"}},"object":{"kind":"server"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d397-765b-aab1-9b1e26a53dba","sequence":1,"tenant_id":"system"}', '\xbd71faf428f08932b854ccf0993f5326556aeeee945d1f55512527aa29fb6806');
INSERT INTO public.audit_events VALUES ('default', 3, '2026-11-29 07:06:55.903949+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'logged_in', 'session', '01a22620-d61f-7850-b939-eebcfc39014c', 'success', '{"action":"logged_in","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:55.903949Z","object":{"id":"01a22620-d61f-7850-b939-eebcfc39014c","kind":"session"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d5b3-75e4-9457-e918495198ba","sequence":3,"span_id":"5445652b41e9f91f","tenant_id":"default","trace_id":"69e74afb2bb4f6130f511ee50041bb3d"}', '\x72567642db65e2daec92b96abd40cc76877d930695d3ad4bfaa624edf2b7de0c');
INSERT INTO public.audit_events VALUES ('default', 4, '2026-11-29 07:06:55.970983+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'user_created', 'user', '01a22620-d662-77cd-ab9e-c81e7d769339', 'success', '{"action":"user_created","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:55.970983Z","detail":{"roles":["operator"]},"object":{"id":"01a22620-d662-77cd-ab9e-c81e7d769339","kind":"user"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d62a-711d-8e7a-30a33ad4c553","sequence":4,"span_id":"87c0c8794cde12bf","tenant_id":"default","trace_id":"a6f8bb2065bb0ed24c62a7c7635012a0"}', '\xce5d43d3a9453a6bad13c5db52568b6f34eada1674841373df0f2f9dfbdfd556');
INSERT INTO public.audit_events VALUES ('default', 5, '2026-11-29 07:06:55.976327+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'api_key_created', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'success', '{"action":"api_key_created","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:55.976327Z","detail":{"addresses":[],"expires_at":null,"name":"gateway","permissions":["mass:read","mass:write"],"prefix":"evppdb6v08dx"},"object":{"id":"01a22620-d668-7013-b9e0-f5d2039b51b9","kind":"api_key"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d666-7667-bd61-e265ae20c153","sequence":5,"span_id":"c8744f5bc858eeb3","tenant_id":"default","trace_id":"de164ffb69de2e5428c9b21a820f7c7e"}', '\x3ca46967fffe5e93f1bec99cbc053100e0f9abe52819ae4771cc9f62b41306d4');
INSERT INTO public.audit_events VALUES ('default', 6, '2026-11-29 07:06:55.980381+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'accepted', 'mass_request', '01a22620-d66c-7078-807a-36111abe442e', 'success', '{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22620-d668-7013-b9e0-f5d2039b51b9","kind":"api_key"},"at":"2026-11-29T07:06:55.980381Z","contract":"device/1.1","input":"sha256:94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490","object":{"id":"01a22620-d66c-7078-807a-36111abe442e","kind":"mass_request"},"outcome":"success","output":"sha256:94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d66b-71f7-8d72-74ce335893a1","sequence":6,"span_id":"3d06dd5f153d537e","tenant_id":"default","trace_id":"7d7bc465276dfa7f86b3eabd74d44194"}', '\x946909bac4f9a4c89c04dd40ea85c7345ec85ded055e0ae585d27b38ad199a92');
INSERT INTO public.audit_events VALUES ('default', 7, '2026-11-29 07:06:55.986901+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'accepted', 'mass_request', '01a22620-d672-70e9-8c2e-ea25ec3b62cd', 'success', '{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22620-d668-7013-b9e0-f5d2039b51b9","kind":"api_key"},"at":"2026-11-29T07:06:55.986901Z","contract":"device/1.1","input":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","object":{"id":"01a22620-d672-70e9-8c2e-ea25ec3b62cd","kind":"mass_request"},"outcome":"success","output":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d672-763b-8638-3a357e256894","sequence":7,"span_id":"2b2d23446309d3a8","tenant_id":"default","trace_id":"141f6276c8ef6f1c5a836b1c5fea80ef"}', '\x14b2ec941b5e2f9abb3eca450c59da584f59717e97d0805c14371f9c7728c48c');
INSERT INTO public.audit_events VALUES ('default', 8, '2026-11-29 07:06:55.990854+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'accepted', 'mass_request', '01a22620-d676-7441-9172-57a7e4730c05', 'success', '{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22620-d668-7013-b9e0-f5d2039b51b9","kind":"api_key"},"at":"2026-11-29T07:06:55.990854Z","contract":"device/1.1","input":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","object":{"id":"01a22620-d676-7441-9172-57a7e4730c05","kind":"mass_request"},"outcome":"success","output":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d676-72ee-8d0c-3739e5574dfd","sequence":8,"span_id":"39eca0ffcd1bf9cf","tenant_id":"default","trace_id":"164583af9fe79604d7776e63cc13573d"}', '\x51d6320bd2a4a2a97d81ae789a1d03a78f75fef4e01ea24faaf32c5ba24e79b8');
INSERT INTO public.audit_events VALUES ('default', 9, '2026-11-29 07:06:55.993511+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', 'accepted', 'mass_request', '01a22620-d679-7062-8562-77538a7799b0', 'success', '{"action":"accepted","actor":{"address":"127.0.0.1","id":"01a22620-d668-7013-b9e0-f5d2039b51b9","kind":"api_key"},"at":"2026-11-29T07:06:55.993511Z","contract":"device/1.1","input":"sha256:c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad","object":{"id":"01a22620-d679-7062-8562-77538a7799b0","kind":"mass_request"},"outcome":"success","output":"sha256:c8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d679-7177-a8e4-290e5dddd072","sequence":9,"span_id":"02d6a1f87cf4bf4b","tenant_id":"default","trace_id":"03887275625eddf71e606729722b6b83"}', '\x7bcebc684823f5f72b78a828029e909b0ef1da5ebd56f8d9971e1c06b613c0a7');
INSERT INTO public.audit_events VALUES ('default', 10, '2026-11-29 07:06:55.99707+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'status_changed', 'mass_request', '01a22620-d672-70e9-8c2e-ea25ec3b62cd', 'success', '{"action":"status_changed","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:55.99707Z","contract":"device/1.1","detail":{"from":"pending","to":"processing"},"object":{"id":"01a22620-d672-70e9-8c2e-ea25ec3b62cd","kind":"mass_request"},"outcome":"success","output":"sha256:33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d67b-7312-a956-9ddcd5572585","sequence":10,"span_id":"53a6b5357610c1f3","tenant_id":"default","trace_id":"400915e9bb5327c2c1ea063903e007bd"}', '\xed852335919d0620c74ff9fd22b97586321aaad8dc9eaba808568250abbb3033');
INSERT INTO public.audit_events VALUES ('default', 11, '2026-11-29 07:06:56.001538+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'deleted', 'mass_request', '01a22620-d676-7441-9172-57a7e4730c05', 'success', '{"action":"deleted","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:56.001538Z","contract":"device/1.1","object":{"id":"01a22620-d676-7441-9172-57a7e4730c05","kind":"mass_request"},"outcome":"success","output":"sha256:e65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d680-76db-b481-62ea6d319498","sequence":11,"span_id":"4e4fbda4eec75fc1","tenant_id":"default","trace_id":"fd282ef0a2b9a8f5c6b65a508573862c"}', '\xe34fa99b4ce49fff67fe1fd23143b6ac5ca7083bb174ba6504cc151e0781e00b');
INSERT INTO public.audit_events VALUES ('default', 12, '2026-11-29 07:06:56.005156+00', 'user', '01a22620-d387-7853-8005-1e07c3deff96', 'payload_refused', 'mass_request', '01a22620-d685-76c0-b34e-329d2465c2f7', 'refused', '{"action":"payload_refused","actor":{"address":"127.0.0.1","id":"01a22620-d387-7853-8005-1e07c3deff96","kind":"user"},"at":"2026-11-29T07:06:56.005156Z","contract":"device/1.1","detail":{"code":"contract-violation","violation_count":4,"violations":[{"code":"required","pointer":"/timestamp","stage":"structural"},{"code":"required","pointer":"/device","stage":"structural"},{"code":"required","pointer":"/metrics","stage":"structural"},{"code":"required","pointer":"/metadata","stage":"structural"}]},"input":"sha256:8671c01c9f2fb49a12fb434e7d8f3add46eb271f5aed64d73438084e113775ed","object":{"id":"01a22620-d685-76c0-b34e-329d2465c2f7","kind":"mass_request"},"outcome":"refused","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d684-74a4-8fb3-1664f9fd3e3c","sequence":12,"span_id":"b3adf5554ed70d0c","tenant_id":"default","trace_id":"3de20cb23115850adb89fcf98203ec77"}', '\xc33071b51a8b45915acde66f78cd7edd7aec587962822bd538d3e62cfd357906');
INSERT INTO public.audit_events VALUES ('system', 2, '2026-11-29 07:06:56.022685+00', 'system', NULL, 'stopped', 'server', NULL, 'success', '{"action":"stopped","actor":{"kind":"system"},"at":"2026-11-29T07:06:56.022685Z","object":{"kind":"server"},"outcome":"success","program":{"commit":"e4804c4287c3","version":"0.1.0"},"request_id":"01a22620-d696-75a5-915c-e2a34963eb78","sequence":2,"tenant_id":"system"}', '\xfd3901534197c1d937a12596c7847a483fc23674fafd397c631ac1102419782f');



INSERT INTO public.audit_heads VALUES ('default', 12, '\x53c757e7da5db1c22baba9ea3a7418ae298e8a5d1e7b4f9f36bcd6eaf7c11265c7f78e99f8961d2d243b75c8daec092ff8ae727014a8482d0f0eb1d923f0d22f');
INSERT INTO public.audit_heads VALUES ('system', 2, '\x4fa5057b22ebd8c4ab5aa2fc7285fe423d365d256089c3e5e77e876d9906de91');












INSERT INTO public.directory VALUES ('email', 'admin@mass.local', 'default', '01a22620-d387-7853-8005-1e07c3deff96');
INSERT INTO public.directory VALUES ('email', 'operator@example.test', 'default', '01a22620-d662-77cd-ab9e-c81e7d769339');
INSERT INTO public.directory VALUES ('api_key', 'evppdb6v08dx', 'default', '01a22620-d668-7013-b9e0-f5d2039b51b9');



INSERT INTO public.idempotency_keys VALUES ('default', 'older-0', '01a22620-d66c-7078-807a-36111abe442e', 'device/1.1', '\x94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490', 'accepted', 'pending', 1, '2026-11-29 07:06:55.980381+00', NULL, '2026-11-29 07:06:55.980381+00');
INSERT INTO public.idempotency_keys VALUES ('default', 'older-1', '01a22620-d672-70e9-8c2e-ea25ec3b62cd', 'device/1.1', '\x33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18', 'accepted', 'pending', 1, '2026-11-29 07:06:55.986901+00', NULL, '2026-11-29 07:06:55.986901+00');
INSERT INTO public.idempotency_keys VALUES ('default', 'older-2', '01a22620-d676-7441-9172-57a7e4730c05', 'device/1.1', '\xe65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2', 'accepted', 'pending', 1, '2026-11-29 07:06:55.990854+00', NULL, '2026-11-29 07:06:55.990854+00');
INSERT INTO public.idempotency_keys VALUES ('default', 'older-3', '01a22620-d679-7062-8562-77538a7799b0', 'device/1.1', '\xc8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad', 'accepted', 'pending', 1, '2026-11-29 07:06:55.993511+00', NULL, '2026-11-29 07:06:55.993511+00');



INSERT INTO public.login_attempts VALUES ('\xffb54abd46e117828632c3767655e6b1c25f5c1f3d53f5e97f2b6825f407b29b', 0, '2026-11-29 07:06:55.911246+00', '2026-11-29 07:06:55.911246+00');
INSERT INTO public.login_attempts VALUES ('\xb3b0574188c3c68f9170536e681c94a572182b2fa2f99aeab265ba71d9a3e76f', 0, '2026-11-29 07:06:55.911246+00', '2026-11-29 07:06:55.911246+00');
INSERT INTO public.login_attempts VALUES ('\xc16c2b8bd10ba0c498740f73bc0c4d09157e607b87ebc82d8bc21e44aeff8bcf', 0, '2026-11-29 07:06:55.795946+00', NULL);



INSERT INTO public.mass_requests VALUES ('default', '01a22620-d66c-7078-807a-36111abe442e', 'device/1.1', 'pending', 'accepted', 1, '2026-11-29 07:06:55.980381+00', '2026-11-29 07:06:55.980381+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', NULL, 'older-0', NULL, 'dev-0', '2026-11-29 00:00:00+00', 'dev-0@2026-11-29T00:00:00Z', '\x94d30d1eb423fb2607fa8160b299989eb0a72cab5ba63a9b84c6459d56de1490', '{"device":{"id":"dev-0","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T00:00:00Z"}', '[]', NULL, NULL, NULL, 6, '\x946909bac4f9a4c89c04dd40ea85c7345ec85ded055e0ae585d27b38ad199a92');
INSERT INTO public.mass_requests VALUES ('default', '01a22620-d679-7062-8562-77538a7799b0', 'device/1.1', 'pending', 'accepted', 1, '2026-11-29 07:06:55.993511+00', '2026-11-29 07:06:55.993511+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', NULL, 'older-3', NULL, 'dev-3', '2026-11-29 03:00:00+00', 'dev-3@2026-11-29T03:00:00Z', '\xc8285dd5e219932705247dd91b124594fe7a25b60d86fed5ff0c85bc15e102ad', '{"device":{"id":"dev-3","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T03:00:00Z"}', '[]', NULL, NULL, NULL, 9, '\x7bcebc684823f5f72b78a828029e909b0ef1da5ebd56f8d9971e1c06b613c0a7');
INSERT INTO public.mass_requests VALUES ('default', '01a22620-d672-70e9-8c2e-ea25ec3b62cd', 'device/1.1', 'processing', 'accepted', 2, '2026-11-29 07:06:55.986901+00', '2026-11-29 07:06:55.99707+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', NULL, 'older-1', NULL, 'dev-1', '2026-11-29 01:00:00+00', 'dev-1@2026-11-29T01:00:00Z', '\x33aaeff05362986ec07df5df4e9930ce8f134ec712873b1c8b01feaafe1bce18', '{"device":{"id":"dev-1","location":"Hall 2","type":"rack-sensor"},"mass_version":"1.1","metadata":{"batch_id":"2026-01","operator":"facility-team"},"metrics":{"humidity_percent":45,"pressure_hpa":1013.25,"temperature_celsius":22.5},"timestamp":"2026-11-29T01:00:00Z"}', '[]', NULL, NULL, NULL, 7, '\x14b2ec941b5e2f9abb3eca450c59da584f59717e97d0805c14371f9c7728c48c');
INSERT INTO public.mass_requests VALUES ('default', '01a22620-d676-7441-9172-57a7e4730c05', 'device/1.1', 'pending', 'accepted', 2, '2026-11-29 07:06:55.990854+00', '2026-11-29 07:06:56.001538+00', 'api_key', '01a22620-d668-7013-b9e0-f5d2039b51b9', NULL, NULL, NULL, NULL, NULL, NULL, '\xe65068afcd53c40562aa1b3305145dd526430ccdfb093bf856fb78b7ade017a2', '', '[]', NULL, NULL, '2026-11-29 07:06:56.001538+00', 8, '\x51d6320bd2a4a2a97d81ae789a1d03a78f75fef4e01ea24faaf32c5ba24e79b8');









INSERT INTO public.refresh_tokens VALUES ('default', '\xe3a4d147e93085a6ba0623db53d8328fe6dbe7661ddbe25e848e688223ad6f97', '01a22620-d61f-7850-b939-eebcfc39014c', '2026-11-29 07:06:55.903949+00', NULL);



INSERT INTO public.sessions VALUES ('default', '01a22620-d61f-7850-b939-eebcfc39014c', '01a22620-d387-7853-8005-1e07c3deff96', '2026-11-29 07:06:55.903949+00', '2026-12-13 07:06:55.903949+00', NULL);



INSERT INTO public.tenant_usage VALUES ('default', 20786, 4, 801);



INSERT INTO public.tenants VALUES ('system', '2026-11-29 07:06:55+00', 0, NULL);
INSERT INTO public.tenants VALUES ('default', '2026-11-29 07:06:55.239694+00', 0, NULL);



INSERT INTO public.users VALUES ('default', '01a22620-d387-7853-8005-1e07c3deff96', 'admin@mass.local', 'hmac-sha384:-:$2b$10$QuO1M2gIu61rrbXVQKqBiO3Ya9wCiaseqUri8wU/0YIgpF2eJSIx.', 'operator,admin,platform_admin', NULL, '2026-11-29 07:06:55.239694+00', '2026-11-29 07:06:55.239694+00');
INSERT INTO public.users VALUES ('default', '01a22620-d662-77cd-ab9e-c81e7d769339', 'operator@example.test', 'hmac-sha384:-:$2b$10$.m56iGtECFWWdOqCKDgbC.l4Shr/Prr5IevPnU.4uJkztEj9aTu.O', 'operator', NULL, '2026-11-29 07:06:55.970983+00', '2026-11-29 07:06:55.970983+00');



ALTER TABLE ONLY public.__diesel_schema_migrations
    ADD CONSTRAINT __diesel_schema_migrations_pkey PRIMARY KEY (version);



ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id);



ALTER TABLE ONLY public.audit_archived_leaves
    ADD CONSTRAINT audit_archived_leaves_pkey PRIMARY KEY (tenant_id, sequence);



ALTER TABLE ONLY public.audit_checkpoints
    ADD CONSTRAINT audit_checkpoints_pkey PRIMARY KEY (tenant_id, size);



ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_pkey PRIMARY KEY (tenant_id, sequence);



ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (tenant_id);



ALTER TABLE ONLY public.audit_nodes
    ADD CONSTRAINT audit_nodes_pkey PRIMARY KEY (tenant_id, level, "position");



ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (tenant_id, id);



ALTER TABLE ONLY public.delivery_queue
    ADD CONSTRAINT delivery_queue_pkey PRIMARY KEY (tenant_id, delivery_id);



ALTER TABLE ONLY public.directory
    ADD CONSTRAINT directory_pkey PRIMARY KEY (kind, key);



ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, key);



ALTER TABLE ONLY public.login_attempts
    ADD CONSTRAINT login_attempts_pkey PRIMARY KEY (key);



ALTER TABLE ONLY public.mass_requests
    ADD CONSTRAINT mass_requests_pkey PRIMARY KEY (tenant_id, id);



ALTER TABLE ONLY public.quotas
    ADD CONSTRAINT quotas_pkey PRIMARY KEY (tenant_id);



ALTER TABLE ONLY public.recommendations
    ADD CONSTRAINT recommendations_pkey PRIMARY KEY (tenant_id, id);



ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (tenant_id, hash);



ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id);



ALTER TABLE ONLY public.tenant_usage
    ADD CONSTRAINT tenant_usage_pkey PRIMARY KEY (tenant_id);



ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (id);



ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id);



CREATE UNIQUE INDEX api_keys_by_prefix ON public.api_keys USING btree (tenant_id, prefix);



CREATE INDEX audit_events_by_action ON public.audit_events USING btree (tenant_id, action, sequence) WHERE (action <> 'accepted'::text);



CREATE INDEX audit_events_by_actor ON public.audit_events USING btree (tenant_id, actor_id, sequence) WHERE (actor_id IS NOT NULL);



CREATE INDEX audit_events_by_object ON public.audit_events USING btree (tenant_id, object_kind, object_id, sequence);



CREATE INDEX audit_events_refused ON public.audit_events USING btree (tenant_id, sequence) WHERE (outcome = 'refused'::text);



CREATE UNIQUE INDEX deliveries_by_request ON public.deliveries USING btree (tenant_id, request_id) WHERE (length(tenant_id) > 0);



CREATE INDEX deliveries_by_state ON public.deliveries USING btree (tenant_id, state, id) WHERE (length(tenant_id) > 0);



CREATE INDEX delivery_queue_by_tenant ON public.delivery_queue USING btree (tenant_id, due_at) WHERE (length(tenant_id) > 0);



CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);



CREATE INDEX login_attempts_by_age ON public.login_attempts USING btree (failed_at);



CREATE INDEX mass_requests_by_contract ON public.mass_requests USING btree (tenant_id, contract, id) WHERE (deleted_at IS NULL);



CREATE INDEX mass_requests_by_correlation ON public.mass_requests USING btree (tenant_id, correlation_id, id) WHERE (correlation_id IS NOT NULL);



CREATE INDEX mass_requests_by_device ON public.mass_requests USING btree (tenant_id, device_id, id) WHERE (device_id IS NOT NULL);



CREATE INDEX mass_requests_by_observed ON public.mass_requests USING btree (tenant_id, observed_at, id) WHERE (observed_at IS NOT NULL);



CREATE INDEX mass_requests_by_site ON public.mass_requests USING btree (tenant_id, site_id, id) WHERE (site_id IS NOT NULL);



CREATE INDEX mass_requests_by_status ON public.mass_requests USING btree (tenant_id, status, id) WHERE (deleted_at IS NULL);



CREATE UNIQUE INDEX mass_requests_standing ON public.mass_requests USING btree (tenant_id, contract, natural_key) WHERE ((natural_key IS NOT NULL) AND (corrected_by IS NULL));



CREATE UNIQUE INDEX mass_requests_versions ON public.mass_requests USING btree (tenant_id, contract, natural_key, fingerprint) WHERE (natural_key IS NOT NULL);



CREATE UNIQUE INDEX recommendations_by_delivery ON public.recommendations USING btree (tenant_id, delivery_id);



CREATE INDEX recommendations_by_device ON public.recommendations USING btree (tenant_id, device_id, id) WHERE (device_id IS NOT NULL);



CREATE INDEX recommendations_by_model ON public.recommendations USING btree (tenant_id, model_name, id);



CREATE INDEX recommendations_by_request ON public.recommendations USING btree (tenant_id, request_id, id);



CREATE INDEX recommendations_by_site ON public.recommendations USING btree (tenant_id, site_id, id) WHERE (site_id IS NOT NULL);



CREATE INDEX recommendations_flagged ON public.recommendations USING btree (tenant_id, id) WHERE (NOT valid);



CREATE INDEX refresh_tokens_by_session ON public.refresh_tokens USING btree (tenant_id, session_id);



CREATE INDEX sessions_by_end ON public.sessions USING btree (tenant_id, expires_at);



CREATE INDEX sessions_by_user ON public.sessions USING btree (tenant_id, user_id);



CREATE TRIGGER api_keys_changed AFTER UPDATE ON public.api_keys REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.api_keys_are_others();



CREATE TRIGGER api_keys_removed AFTER DELETE ON public.api_keys REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.credentials_are_gone();



CREATE TRIGGER audit_archived_leaves_keep BEFORE DELETE OR UPDATE ON public.audit_archived_leaves FOR EACH ROW EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_archived_leaves_stay_whole BEFORE TRUNCATE ON public.audit_archived_leaves FOR EACH STATEMENT EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_checkpoints_keep BEFORE DELETE OR UPDATE ON public.audit_checkpoints FOR EACH ROW EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_checkpoints_stay_whole BEFORE TRUNCATE ON public.audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_events_keep BEFORE UPDATE ON public.audit_events FOR EACH ROW WHEN ((length(old.leaf_hash) > 0)) EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_events_stay BEFORE DELETE ON public.audit_events FOR EACH ROW EXECUTE FUNCTION public.audit_event_is_archived();



CREATE TRIGGER audit_events_stay_whole BEFORE TRUNCATE ON public.audit_events FOR EACH STATEMENT EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_heads_grow BEFORE UPDATE ON public.audit_heads FOR EACH ROW WHEN (((new.size < old.size) OR (new.tenant_id <> old.tenant_id))) EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_heads_stay BEFORE DELETE ON public.audit_heads FOR EACH ROW EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_heads_stay_whole BEFORE TRUNCATE ON public.audit_heads FOR EACH STATEMENT EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_nodes_keep BEFORE DELETE OR UPDATE ON public.audit_nodes FOR EACH ROW EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER audit_nodes_stay_whole BEFORE TRUNCATE ON public.audit_nodes FOR EACH STATEMENT EXECUTE FUNCTION public.audit_trail_only_grows();



CREATE TRIGGER sessions_changed AFTER UPDATE ON public.sessions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.sessions_are_others();



CREATE TRIGGER sessions_removed AFTER DELETE ON public.sessions REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.credentials_are_gone();



CREATE TRIGGER users_changed AFTER UPDATE ON public.users REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.users_are_others();



CREATE TRIGGER users_removed AFTER DELETE ON public.users REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.credentials_are_gone();



ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.audit_archived_leaves
    ADD CONSTRAINT audit_archived_leaves_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.audit_heads(tenant_id);



ALTER TABLE ONLY public.audit_checkpoints
    ADD CONSTRAINT audit_checkpoints_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.audit_heads(tenant_id);



ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT audit_events_with_text_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.audit_heads(tenant_id);



ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.audit_nodes
    ADD CONSTRAINT audit_nodes_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.audit_heads(tenant_id);



ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_tenant_id_request_id_fkey FOREIGN KEY (tenant_id, request_id) REFERENCES public.mass_requests(tenant_id, id);



ALTER TABLE ONLY public.directory
    ADD CONSTRAINT directory_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_tenant_id_request_id_fkey FOREIGN KEY (tenant_id, request_id) REFERENCES public.mass_requests(tenant_id, id);



ALTER TABLE ONLY public.mass_requests
    ADD CONSTRAINT mass_requests_tenant_id_corrected_by_fkey FOREIGN KEY (tenant_id, corrected_by) REFERENCES public.mass_requests(tenant_id, id) DEFERRABLE INITIALLY DEFERRED;



ALTER TABLE ONLY public.mass_requests
    ADD CONSTRAINT mass_requests_tenant_id_corrects_fkey FOREIGN KEY (tenant_id, corrects) REFERENCES public.mass_requests(tenant_id, id);



ALTER TABLE ONLY public.mass_requests
    ADD CONSTRAINT mass_requests_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.quotas
    ADD CONSTRAINT quotas_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.recommendations
    ADD CONSTRAINT recommendations_tenant_id_delivery_id_fkey FOREIGN KEY (tenant_id, delivery_id) REFERENCES public.deliveries(tenant_id, id);



ALTER TABLE ONLY public.recommendations
    ADD CONSTRAINT recommendations_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.recommendations
    ADD CONSTRAINT recommendations_tenant_id_request_id_fkey FOREIGN KEY (tenant_id, request_id) REFERENCES public.mass_requests(tenant_id, id);



ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT refresh_tokens_tenant_id_session_id_fkey FOREIGN KEY (tenant_id, session_id) REFERENCES public.sessions(tenant_id, id) ON DELETE CASCADE;



ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_tenant_id_user_id_fkey FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;



ALTER TABLE ONLY public.tenant_usage
    ADD CONSTRAINT tenant_usage_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES public.tenants(id);



ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.audit_archived_leaves ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.audit_checkpoints ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.audit_events ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.audit_heads ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.audit_nodes ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.deliveries ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.mass_requests ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.quotas ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.recommendations ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.refresh_tokens ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;


CREATE POLICY tenant ON public.api_keys USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.audit_archived_leaves USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.audit_checkpoints USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.audit_events USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.audit_heads USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.audit_nodes USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.deliveries USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.idempotency_keys USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.mass_requests USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.quotas USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.recommendations USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.refresh_tokens USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.sessions USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.tenant_usage USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



CREATE POLICY tenant ON public.users USING ((tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text)));



ALTER TABLE public.tenant_usage ENABLE ROW LEVEL SECURITY;


ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;




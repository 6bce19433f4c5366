-- What follows from a tenant's audit log, so that it can be deleted and built again. Times are microseconds since 1970.
--
-- The last event that the other tables are computed from; -1 while they are deleted.
CREATE TABLE projections (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    position bigint NOT NULL,
    -- The number of times that they were deleted.
    deletions bigint NOT NULL,
    -- The event behind it, if the projection cannot go past it.
    stopped_sequence bigint,
    stopped_reason text
);

-- Sites, devices, and devices at sites, as their newest documents tell. Names are ordered bytewise, as in SQLite, and those that
-- are missing come first.
CREATE TABLE sources (
    tenant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    site_id text COLLATE "C",
    device_id text COLLATE "C",
    device_type text,
    location text,
    at bigint NOT NULL,
    accepted bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX sources_by_device ON sources (tenant_id, device_id, site_id NULLS FIRST) WHERE device_id IS NOT NULL;
CREATE INDEX sources_by_site ON sources (tenant_id, site_id, device_id) WHERE site_id IS NOT NULL;

-- The current requests, by the sequence of their acceptance, and where the points of each are.
CREATE TABLE projected_requests (
    tenant_id text COLLATE "C" NOT NULL,
    accepted bigint NOT NULL,
    day bigint NOT NULL,
    bytes bigint NOT NULL,
    source_id bigint,
    at bigint,
    PRIMARY KEY (tenant_id, accepted)
);
CREATE INDEX projected_requests_by_source ON projected_requests (tenant_id, source_id, at, accepted)
    WHERE source_id IS NOT NULL;

CREATE TABLE series (
    tenant_id text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    site_id text COLLATE "C",
    device_id text COLLATE "C",
    metric text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    source_id bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    last_value double precision NOT NULL,
    learned_interval bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 50);
CREATE INDEX series_by_device ON series (tenant_id, device_id, metric) WHERE device_id IS NOT NULL;
-- The condition, which is true of every row, keeps these indexes from look-ups by the key.
CREATE INDEX series_by_names ON series (tenant_id, site_id NULLS FIRST, device_id NULLS FIRST, metric) WHERE length(tenant_id) > 0;
CREATE INDEX series_by_metric ON series (tenant_id, metric, site_id NULLS FIRST, device_id NULLS FIRST) WHERE length(tenant_id) > 0;
CREATE INDEX series_by_source ON series (tenant_id, source_id) WHERE length(tenant_id) > 0;

-- `sequence` is that of the acceptance: of several points of one time, the last one is valid. `span` is the length of the window for
-- which the value holds; NULL if it holds until the next point.
CREATE TABLE points (
    tenant_id text COLLATE "C" NOT NULL,
    series_id bigint NOT NULL,
    at bigint NOT NULL,
    sequence bigint NOT NULL,
    value double precision NOT NULL,
    span bigint,
    PRIMARY KEY (tenant_id, series_id, at, sequence)
);

CREATE TABLE hours (
    tenant_id text COLLATE "C" NOT NULL,
    series_id bigint NOT NULL,
    starts_at bigint NOT NULL,
    count bigint NOT NULL,
    sum double precision NOT NULL,
    min double precision NOT NULL,
    max double precision NOT NULL,
    first double precision NOT NULL,
    last double precision NOT NULL,
    integral double precision NOT NULL,
    covered bigint NOT NULL,
    gaps bigint NOT NULL,
    resets bigint NOT NULL,
    above double precision NOT NULL,
    below double precision NOT NULL,
    PRIMARY KEY (tenant_id, series_id, starts_at)
) WITH (fillfactor = 90);

-- The days in UTC before that of a series' last point.
CREATE TABLE days (
    tenant_id text COLLATE "C" NOT NULL,
    series_id bigint NOT NULL,
    starts_at bigint NOT NULL,
    count bigint NOT NULL,
    sum double precision NOT NULL,
    min double precision NOT NULL,
    max double precision NOT NULL,
    first double precision NOT NULL,
    last double precision NOT NULL,
    integral double precision NOT NULL,
    covered bigint NOT NULL,
    gaps bigint NOT NULL,
    resets bigint NOT NULL,
    above double precision NOT NULL,
    below double precision NOT NULL,
    PRIMARY KEY (tenant_id, series_id, starts_at)
);

-- The current requests that were accepted on a day in UTC.
CREATE TABLE intake (
    tenant_id text NOT NULL,
    day bigint NOT NULL,
    requests bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (tenant_id, day)
);

-- What stays of archived events that figures depend on, so that a projection can be built again. Of earlier archives the requests
-- that are current now stand for it.
CREATE TABLE audit_archived_changes (
    tenant_id text NOT NULL REFERENCES audit_heads (tenant_id),
    sequence bigint NOT NULL,
    action text NOT NULL,
    object_id text,
    PRIMARY KEY (tenant_id, sequence)
);
INSERT INTO audit_archived_changes (tenant_id, sequence, action, object_id)
SELECT request.tenant_id, request.audit_sequence, 'accepted', request.id::text
FROM mass_requests AS request
JOIN (SELECT tenant_id, max(sequence) AS size FROM audit_archived_leaves GROUP BY tenant_id) AS archive
    ON archive.tenant_id = request.tenant_id
WHERE request.audit_sequence BETWEEN 1 AND archive.size AND request.corrected_by IS NULL AND request.deleted_at IS NULL;

DO $$
DECLARE
    walled text;
BEGIN
    FOREACH walled IN ARRAY ARRAY[
        'projections', 'sources', 'projected_requests', 'series', 'points', 'hours', 'days', 'intake', 'audit_archived_changes'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = nullif(current_setting(''mass.tenant'', true), ''''))', walled
        );
    END LOOP;
END
$$;

-- What follows from a tenant's audit log, so that it can be deleted and built again. Times are microseconds since 1970.
--
-- The last event that the other tables are computed from; -1 while they are deleted.
CREATE TABLE projections (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    position INTEGER NOT NULL,
    -- The number of times that they were deleted.
    deletions INTEGER NOT NULL,
    -- The event behind it, if the projection cannot go past it.
    stopped_sequence INTEGER,
    stopped_reason TEXT
) STRICT;

-- Sites, devices, and devices at sites, as their newest documents tell.
CREATE TABLE sources (
    tenant_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    site_id TEXT,
    device_id TEXT,
    device_type TEXT,
    location TEXT,
    at INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX sources_by_device ON sources (tenant_id, device_id, site_id) WHERE device_id IS NOT NULL;
CREATE INDEX sources_by_site ON sources (tenant_id, site_id, device_id) WHERE site_id IS NOT NULL;

-- The current requests, by the sequence of their acceptance, and where the points of each are.
CREATE TABLE projected_requests (
    tenant_id TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    day INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    source_id INTEGER,
    at INTEGER,
    PRIMARY KEY (tenant_id, accepted)
) STRICT, WITHOUT ROWID;
CREATE INDEX projected_requests_by_source ON projected_requests (tenant_id, source_id, at, accepted)
    WHERE source_id IS NOT NULL;

CREATE TABLE series (
    tenant_id TEXT NOT NULL,
    id INTEGER NOT NULL,
    site_id TEXT,
    device_id TEXT,
    metric TEXT NOT NULL,
    kind TEXT NOT NULL,
    source_id INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    last_value REAL NOT NULL,
    learned_interval INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX series_by_device ON series (tenant_id, device_id, metric) WHERE device_id IS NOT NULL;
-- The condition, which is true of every row, keeps these indexes from look-ups by the key.
CREATE INDEX series_by_names ON series (tenant_id, site_id, device_id, metric) WHERE length(tenant_id) > 0;
CREATE INDEX series_by_metric ON series (tenant_id, metric, site_id, device_id) WHERE length(tenant_id) > 0;
CREATE INDEX series_by_source ON series (tenant_id, source_id) WHERE length(tenant_id) > 0;

-- `sequence` is that of the acceptance: of several points of one time, the last one is valid. `span` is the length of the window for
-- which the value holds; NULL if it holds until the next point.
CREATE TABLE points (
    tenant_id TEXT NOT NULL,
    series_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    value REAL NOT NULL,
    span INTEGER,
    PRIMARY KEY (tenant_id, series_id, at, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE hours (
    tenant_id TEXT NOT NULL,
    series_id INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    sum REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    integral REAL NOT NULL,
    covered INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    resets INTEGER NOT NULL,
    above REAL NOT NULL,
    below REAL NOT NULL,
    PRIMARY KEY (tenant_id, series_id, starts_at)
) STRICT, WITHOUT ROWID;

-- The days in UTC before that of a series' last point.
CREATE TABLE days (
    tenant_id TEXT NOT NULL,
    series_id INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    sum REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    integral REAL NOT NULL,
    covered INTEGER NOT NULL,
    gaps INTEGER NOT NULL,
    resets INTEGER NOT NULL,
    above REAL NOT NULL,
    below REAL NOT NULL,
    PRIMARY KEY (tenant_id, series_id, starts_at)
) STRICT, WITHOUT ROWID;

-- The current requests that were accepted on a day in UTC.
CREATE TABLE intake (
    tenant_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, day)
) STRICT;

-- What stays of archived events that figures depend on, so that a projection can be built again. Of earlier archives the requests
-- that are current now stand for it.
CREATE TABLE audit_archived_changes (
    tenant_id TEXT NOT NULL REFERENCES audit_heads (tenant_id),
    sequence INTEGER NOT NULL,
    action TEXT NOT NULL,
    object_id TEXT,
    PRIMARY KEY (tenant_id, sequence)
) STRICT;
INSERT INTO audit_archived_changes (tenant_id, sequence, action, object_id)
WITH spelled AS (
    SELECT request.tenant_id, request.audit_sequence, lower(hex(request.id)) AS hex
    FROM mass_requests AS request
    JOIN (SELECT tenant_id, max(sequence) AS size FROM audit_archived_leaves GROUP BY tenant_id) AS archive
        ON archive.tenant_id = request.tenant_id
    WHERE request.audit_sequence BETWEEN 1 AND archive.size AND request.corrected_by IS NULL AND request.deleted_at IS NULL
)
SELECT tenant_id, audit_sequence, 'accepted',
    substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-' || substr(hex, 13, 4) || '-' || substr(hex, 17, 4) || '-' || substr(hex, 21)
FROM spelled;

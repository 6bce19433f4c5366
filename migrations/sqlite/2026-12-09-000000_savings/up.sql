-- Savings projects: `project` is the present version as canonical JSON, of which the other columns repeat what lists show.
CREATE TABLE savings_projects (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    site_id TEXT NOT NULL,
    project TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    updated_at TEXT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by_id BLOB,
    PRIMARY KEY (tenant_id, id)
) STRICT;

-- Reports. `project` is the version of the project that a report is about, as it was when the report was asked for; `sequence` is
-- that of the event of the request. `document` is canonical JSON, and `note` signs its fingerprint. `as_of_sequence` and
-- `as_of_root` name the events that its hours follow from. `call_id` and `traceparent` tell by which call it was asked for.
CREATE TABLE savings_reports (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    project_id BLOB NOT NULL,
    project_version INTEGER NOT NULL,
    project TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    requested_at TEXT NOT NULL,
    requested_by_kind TEXT NOT NULL,
    requested_by_id BLOB,
    call_id TEXT NOT NULL,
    traceparent TEXT,
    finished_at TEXT,
    failure TEXT,
    as_of_sequence INTEGER,
    as_of_root TEXT,
    bytes INTEGER NOT NULL,
    document TEXT,
    note TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES savings_projects (tenant_id, id)
) STRICT;
CREATE INDEX savings_reports_by_project ON savings_reports (tenant_id, project_id, id);

-- What a worker sees before it knows whose report it takes. `due_at` is when the next worker may take one: of one
-- that a worker has, the end of its lease. `fence` counts the claims, which tells an earlier holder from the present one.
CREATE TABLE savings_queue (
    tenant_id TEXT NOT NULL,
    report_id BLOB NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, report_id),
    FOREIGN KEY (tenant_id, report_id) REFERENCES savings_reports (tenant_id, id)
) STRICT;
CREATE INDEX savings_queue_by_due ON savings_queue (due_at);

-- Savings projects: `project` is the present version as canonical JSON, of which the other columns repeat what lists show.
CREATE TABLE savings_projects (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    site_id text NOT NULL,
    project text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    updated_at timestamptz NOT NULL,
    updated_by_kind text NOT NULL,
    updated_by_id uuid,
    PRIMARY KEY (tenant_id, id)
);

-- Reports. `project` is the version of the project that a report is about, as it was when the report was asked for; `sequence` is
-- that of the event of the request. `document` is canonical JSON, and `note` signs its fingerprint. `as_of_sequence` and
-- `as_of_root` name the events that its hours follow from. `call_id` and `traceparent` tell by which call it was asked for.
CREATE TABLE savings_reports (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    project_version bigint NOT NULL,
    project text NOT NULL,
    sequence bigint NOT NULL,
    state text NOT NULL,
    attempts bigint NOT NULL,
    requested_at timestamptz NOT NULL,
    requested_by_kind text NOT NULL,
    requested_by_id uuid,
    call_id text NOT NULL,
    traceparent text,
    finished_at timestamptz,
    failure text,
    as_of_sequence bigint,
    as_of_root text,
    bytes bigint NOT NULL,
    document text,
    note text,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES savings_projects (tenant_id, id)
);
CREATE INDEX savings_reports_by_project ON savings_reports (tenant_id, project_id, id);

-- What a worker sees before it knows whose report it takes: no policy stands around it, as around `delivery_queue`. It tells that a
-- tenant has reports and when they are due, and nothing of what they are about. `due_at` is when the next worker may take one: of one
-- that a worker has, the end of its lease. `fence` counts the claims, which tells an earlier holder from the present one.
CREATE TABLE savings_queue (
    tenant_id text NOT NULL,
    report_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant_id, report_id),
    FOREIGN KEY (tenant_id, report_id) REFERENCES savings_reports (tenant_id, id)
);
CREATE INDEX savings_queue_by_due ON savings_queue (due_at);

ALTER TABLE savings_projects ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON savings_projects USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE savings_reports ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON savings_reports USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

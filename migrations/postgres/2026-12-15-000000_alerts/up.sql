-- Rules of alerts: `rule` is canonical JSON, of which `kind` and `enabled` repeat what is looked up; `digest` is its SHA-256.
-- `problem` tells why the last evaluation could not judge it as it says.
CREATE TABLE alert_rules (
    tenant_id text NOT NULL REFERENCES tenants (id),
    name text NOT NULL,
    kind text NOT NULL,
    enabled boolean NOT NULL,
    digest bytea NOT NULL,
    rule text NOT NULL,
    problem text,
    created_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    updated_at timestamptz NOT NULL,
    updated_by_kind text NOT NULL,
    updated_by_id uuid,
    PRIMARY KEY (tenant_id, name)
);

-- Alerts outlive their rules: `rule` is the name of one that may be gone. `subject` is canonical JSON, and `subject_digest` its
-- SHA-256, by which a rule has one alert of a subject at a time. `opened_at` is NULL while the condition has not held for as
-- long as the rule says.
CREATE TABLE alerts (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    rule text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    subject text NOT NULL,
    subject_digest bytea NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL,
    opened_at timestamptz,
    resolved_at timestamptz,
    resolution text,
    value double precision,
    notified_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by_kind text,
    acknowledged_by_id uuid,
    note text,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX alerts_live ON alerts (tenant_id, rule, subject_digest) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_state ON alerts (tenant_id, state, id);
CREATE INDEX alerts_by_rule ON alerts (tenant_id, rule, id);
CREATE INDEX alerts_by_resolution ON alerts (tenant_id, resolved_at) WHERE resolved_at IS NOT NULL;

-- What a worker sees before it knows whose rules it evaluates: no policy stands around it, as around `delivery_queue`. It tells
-- that a tenant has rules, and nothing of them. `due_at` is when the next worker may take the tenant: of one that a worker has,
-- the end of its lease. `fence` counts the claims and the changes of rules, which tells an earlier holder from the present one.
CREATE TABLE alert_queue (
    tenant_id text NOT NULL PRIMARY KEY REFERENCES tenants (id),
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL
);
CREATE INDEX alert_queue_by_due ON alert_queue (due_at);

ALTER TABLE alert_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_rules USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alerts USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

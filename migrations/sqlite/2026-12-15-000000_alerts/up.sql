-- Rules of alerts: `rule` is canonical JSON, of which `kind` and `enabled` repeat what is looked up; `digest` is its SHA-256.
-- `problem` tells why the last evaluation could not judge it as it says.
CREATE TABLE alert_rules (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    digest BLOB NOT NULL,
    rule TEXT NOT NULL,
    problem TEXT,
    created_at TEXT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id BLOB,
    updated_at TEXT NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by_id BLOB,
    PRIMARY KEY (tenant_id, name)
) STRICT;

-- Alerts outlive their rules: `rule` is the name of one that may be gone. `subject` is canonical JSON, and `subject_digest` its
-- SHA-256, by which a rule has one alert of a subject at a time. `opened_at` is NULL while the condition has not held for as
-- long as the rule says.
CREATE TABLE alerts (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    subject TEXT NOT NULL,
    subject_digest BLOB NOT NULL,
    state TEXT NOT NULL,
    since TEXT NOT NULL,
    opened_at TEXT,
    resolved_at TEXT,
    resolution TEXT,
    value REAL,
    notified_at TEXT,
    acknowledged_at TEXT,
    acknowledged_by_kind TEXT,
    acknowledged_by_id BLOB,
    note TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX alerts_live ON alerts (tenant_id, rule, subject_digest) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_state ON alerts (tenant_id, state, id);
CREATE INDEX alerts_by_rule ON alerts (tenant_id, rule, id);
CREATE INDEX alerts_by_resolution ON alerts (tenant_id, resolved_at) WHERE resolved_at IS NOT NULL;

-- What a worker sees before it knows whose rules it evaluates. `due_at` is when the next worker may take the tenant: of one that
-- a worker has, the end of its lease. `fence` counts the claims and the changes of rules, which tells an earlier holder from the
-- present one.
CREATE TABLE alert_queue (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id),
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_queue_by_due ON alert_queue (due_at);

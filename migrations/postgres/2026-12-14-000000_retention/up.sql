-- The age in days at which documents of a contract are erased; '' stands for all contracts without a rule of their own.
CREATE TABLE retention_rules (
    tenant_id text NOT NULL REFERENCES tenants (id),
    contract text NOT NULL,
    days bigint NOT NULL,
    PRIMARY KEY (tenant_id, contract)
);

-- The legal holds in force: no document that one covers is deleted or erased. Without a contract it covers all documents.
CREATE TABLE legal_holds (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    contract text,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    set_by_kind text NOT NULL,
    set_by_id uuid,
    PRIMARY KEY (tenant_id, id)
);

-- What a worker sees before it knows of which tenant it takes a task: no policy stands around it, as around `delivery_queue`. It tells
-- that a tenant has a task and when it is due, and nothing else. `due_at` is when the next worker may take it: of one that a worker
-- has, the end of its lease. `fence` counts the claims, which tells an earlier holder from the present one.
CREATE TABLE tenant_tasks (
    tenant_id text NOT NULL REFERENCES tenants (id),
    task text NOT NULL,
    due_at timestamptz NOT NULL,
    worker text,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant_id, task)
);
CREATE INDEX tenant_tasks_by_due ON tenant_tasks (task, due_at);

ALTER TABLE retention_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON retention_rules USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE legal_holds ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON legal_holds USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

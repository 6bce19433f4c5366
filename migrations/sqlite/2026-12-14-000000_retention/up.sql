-- The age in days at which documents of a contract are erased; '' stands for all contracts without a rule of their own.
CREATE TABLE retention_rules (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    contract TEXT NOT NULL,
    days INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, contract)
) STRICT;

-- The legal holds in force: no document that one covers is deleted or erased. Without a contract it covers all documents.
CREATE TABLE legal_holds (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    id BLOB NOT NULL,
    contract TEXT,
    reason TEXT NOT NULL,
    since TEXT NOT NULL,
    set_by_kind TEXT NOT NULL,
    set_by_id BLOB,
    PRIMARY KEY (tenant_id, id)
) STRICT;

-- What a worker sees before it knows of which tenant it takes a task. `due_at` is when the next worker may take it: of one that a
-- worker has, the end of its lease. `fence` counts the claims, which tells an earlier holder from the present one.
CREATE TABLE tenant_tasks (
    tenant_id TEXT NOT NULL REFERENCES tenants (id),
    task TEXT NOT NULL,
    due_at TEXT NOT NULL,
    worker TEXT,
    fence INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, task)
) STRICT;
CREATE INDEX tenant_tasks_by_due ON tenant_tasks (task, due_at);

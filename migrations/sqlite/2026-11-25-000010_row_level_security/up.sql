-- SQLite has no row-level security: the predicates of the statements are all there is.

-- Old keys are forgotten tenant by tenant.
DROP INDEX idempotency_keys_by_age;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (tenant_id, created_at);

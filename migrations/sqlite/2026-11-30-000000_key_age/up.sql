-- Without the tenant in front: PostgreSQL takes such an index of a small table for a way to look up a key, keeps the plan,
-- and reads all that the tenant has when the table is large.
DROP INDEX idempotency_keys_by_age;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id);
DROP INDEX sessions_of_user;
ALTER TABLE users DROP COLUMN deleted_at;

-- A user who has left: the row stays, since events name its id; the address, the password and what was disabled with it
-- are gone.
ALTER TABLE users ADD COLUMN deleted_at TEXT;

-- Lists of a user's sessions, newest first.
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id, id);
DROP INDEX sessions_by_user;

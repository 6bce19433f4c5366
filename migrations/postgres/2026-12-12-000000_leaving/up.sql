-- A user who has left: the row stays, since events name its id; the address, the password and what was disabled with it
-- are gone.
ALTER TABLE users ADD COLUMN deleted_at timestamptz;

-- Lists of a user's sessions, newest first.
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id, id);
DROP INDEX sessions_by_user;

-- The role that serves may now remove keys of the directory: those of the tenant that it serves, whatever its statements
-- say. It still looks up those of all, before a tenant is known.
ALTER TABLE directory ENABLE ROW LEVEL SECURITY;
CREATE POLICY looked_up ON directory FOR SELECT USING (true);
CREATE POLICY claimed ON directory FOR INSERT WITH CHECK (tenant_id = nullif(current_setting('mass.tenant', true), ''));
CREATE POLICY released ON directory FOR DELETE USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

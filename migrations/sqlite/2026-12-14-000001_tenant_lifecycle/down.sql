DROP INDEX mass_requests_by_corrected;
DROP INDEX mass_requests_by_correction;
DROP TRIGGER tenants_suspended;
ALTER TABLE tenants DROP COLUMN erased_at;
ALTER TABLE tenants DROP COLUMN erasing_at;
ALTER TABLE tenants DROP COLUMN deletion_due_at;
ALTER TABLE tenants DROP COLUMN suspended_at;

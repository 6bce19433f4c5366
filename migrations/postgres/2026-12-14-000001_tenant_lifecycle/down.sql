DROP INDEX mass_requests_by_corrected;
DROP INDEX mass_requests_by_correction;
DROP TRIGGER tenants_suspended ON tenants;
DROP FUNCTION tenant_is_suspended_or_resumed();
ALTER TABLE tenants
    DROP COLUMN erased_at,
    DROP COLUMN erasing_at,
    DROP COLUMN deletion_due_at,
    DROP COLUMN suspended_at;

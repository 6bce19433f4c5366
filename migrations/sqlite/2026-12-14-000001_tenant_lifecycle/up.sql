-- A tenant's way to its erasure, each instant set after those before it: nobody gets in, the end of the grace period, the
-- beginning of the erasure and its end. The row stays, since its slug is never given to another tenant.
ALTER TABLE tenants ADD COLUMN suspended_at TEXT;
ALTER TABLE tenants ADD COLUMN deletion_due_at TEXT;
ALTER TABLE tenants ADD COLUMN erasing_at TEXT;
ALTER TABLE tenants ADD COLUMN erased_at TEXT;

-- What a server remembers of a caller no longer holds once the tenant is suspended or resumed.
CREATE TRIGGER tenants_suspended AFTER UPDATE OF suspended_at ON tenants WHEN OLD.suspended_at IS NOT NEW.suspended_at
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id = NEW.id;
END;

-- An erasure deletes requests, which must not search the others for corrections of each. There are few corrections.
CREATE INDEX mass_requests_by_correction ON mass_requests (tenant_id, corrects) WHERE corrects IS NOT NULL;
CREATE INDEX mass_requests_by_corrected ON mass_requests (tenant_id, corrected_by) WHERE corrected_by IS NOT NULL;

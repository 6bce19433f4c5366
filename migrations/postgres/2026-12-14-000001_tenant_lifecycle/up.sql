-- A tenant's way to its erasure, each instant set after those before it: nobody gets in, the end of the grace period, the
-- beginning of the erasure and its end. The row stays, since its slug is never given to another tenant.
ALTER TABLE tenants
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN deletion_due_at timestamptz,
    ADD COLUMN erasing_at timestamptz,
    ADD COLUMN erased_at timestamptz;

-- What a server remembers of a caller no longer holds once the tenant is suspended or resumed.
CREATE FUNCTION tenant_is_suspended_or_resumed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.credentials_version := OLD.credentials_version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER tenants_suspended BEFORE UPDATE ON tenants FOR EACH ROW
    WHEN (OLD.suspended_at IS DISTINCT FROM NEW.suspended_at) EXECUTE FUNCTION tenant_is_suspended_or_resumed();

-- An erasure deletes requests, which must not search the others for corrections of each. There are few corrections.
CREATE INDEX mass_requests_by_correction ON mass_requests (tenant_id, corrects) WHERE corrects IS NOT NULL;
CREATE INDEX mass_requests_by_corrected ON mass_requests (tenant_id, corrected_by) WHERE corrected_by IS NOT NULL;

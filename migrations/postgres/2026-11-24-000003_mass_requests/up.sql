CREATE TABLE mass_requests (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    contract text NOT NULL,
    status text NOT NULL,
    outcome text NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    created_by_kind text NOT NULL,
    created_by_id uuid,
    correlation_id text,
    idempotency_key text,
    site_id text,
    device_id text,
    observed_at timestamptz,
    natural_key text,
    fingerprint bytea NOT NULL,
    -- Text, not jsonb, which would reformat what the fingerprint was taken of.
    document text NOT NULL,
    warnings text NOT NULL,
    corrects uuid,
    corrected_by uuid,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, corrects) REFERENCES mass_requests (tenant_id, id),
    -- Deferred, since the older version gives way before the newer one is there.
    FOREIGN KEY (tenant_id, corrected_by) REFERENCES mass_requests (tenant_id, id) DEFERRABLE INITIALLY DEFERRED
);

-- Of all that tells of the same thing, one version stands, and no two are equal. A deleted request has no natural key.
CREATE UNIQUE INDEX mass_requests_standing ON mass_requests (tenant_id, contract, natural_key)
    WHERE natural_key IS NOT NULL AND corrected_by IS NULL;
CREATE UNIQUE INDEX mass_requests_versions ON mass_requests (tenant_id, contract, natural_key, fingerprint)
    WHERE natural_key IS NOT NULL;

-- Lists: what is deleted has lost the nullable columns, so their indexes leave it out as well.
CREATE INDEX mass_requests_by_status ON mass_requests (tenant_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX mass_requests_by_contract ON mass_requests (tenant_id, contract, id) WHERE deleted_at IS NULL;
CREATE INDEX mass_requests_by_site ON mass_requests (tenant_id, site_id, id) WHERE site_id IS NOT NULL;
CREATE INDEX mass_requests_by_device ON mass_requests (tenant_id, device_id, id) WHERE device_id IS NOT NULL;
CREATE INDEX mass_requests_by_observed ON mass_requests (tenant_id, observed_at, id) WHERE observed_at IS NOT NULL;
CREATE INDEX mass_requests_by_correlation ON mass_requests (tenant_id, correlation_id, id)
    WHERE correlation_id IS NOT NULL;

-- What the first answer under a key said, as far as it can have changed since.
CREATE TABLE idempotency_keys (
    tenant_id text NOT NULL,
    key text NOT NULL,
    request_id uuid NOT NULL,
    contract text NOT NULL,
    fingerprint bytea NOT NULL,
    outcome text NOT NULL,
    status text NOT NULL,
    version bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    corrected_by uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key),
    FOREIGN KEY (tenant_id, request_id) REFERENCES mass_requests (tenant_id, id)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

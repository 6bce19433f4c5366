-- Since when a user has a second factor; NULL without one.
ALTER TABLE users ADD COLUMN second_factor_at timestamptz;
-- When the session last proved it.
ALTER TABLE sessions ADD COLUMN factor_at timestamptz;
-- Whether it is demanded of administrators; NULL for no.
ALTER TABLE tenants ADD COLUMN second_factor boolean;

-- The seeds, encrypted with a key that is derived from SECRET_KEY. One that is not confirmed yet counts nowhere. `last_step` is
-- the last step of the clock whose code was taken: a code is good once.
CREATE TABLE second_factors (
    tenant_id text NOT NULL,
    user_id uuid NOT NULL,
    sealed bytea NOT NULL,
    confirmed boolean NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

-- Hashes of recovery codes that are not used yet.
CREATE TABLE recovery_codes (
    tenant_id text NOT NULL,
    user_id uuid NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, user_id, hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES second_factors (tenant_id, user_id) ON DELETE CASCADE
);

ALTER TABLE second_factors ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON second_factors USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));
ALTER TABLE recovery_codes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON recovery_codes USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

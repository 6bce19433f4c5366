-- Since when a user has a second factor; NULL without one.
ALTER TABLE users ADD COLUMN second_factor_at TEXT;
-- When the session last proved it.
ALTER TABLE sessions ADD COLUMN factor_at TEXT;
-- Whether it is demanded of administrators; NULL for no.
ALTER TABLE tenants ADD COLUMN second_factor INTEGER;

-- The seeds, encrypted with a key that is derived from SECRET_KEY. One that is not confirmed yet counts nowhere. `last_step` is
-- the last step of the clock whose code was taken: a code is good once.
CREATE TABLE second_factors (
    tenant_id TEXT NOT NULL,
    user_id BLOB NOT NULL,
    sealed BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;

-- Hashes of recovery codes that are not used yet.
CREATE TABLE recovery_codes (
    tenant_id TEXT NOT NULL,
    user_id BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (tenant_id, user_id, hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES second_factors (tenant_id, user_id) ON DELETE CASCADE
) STRICT;

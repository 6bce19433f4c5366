CREATE TABLE sessions (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_by_end ON sessions (tenant_id, expires_at);

-- Spent ones are kept as long as their session: only so is their reuse noticed.
CREATE TABLE refresh_tokens (
    tenant_id text NOT NULL,
    hash bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    spent_at timestamptz,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
);

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (tenant_id, session_id);

-- Counted before anybody is known to be of any tenant, under hashes of what was typed in and of where it came from; so
-- the key cannot begin with a tenant, and nothing of a tenant stands here.
CREATE TABLE login_attempts (
    key bytea NOT NULL PRIMARY KEY,
    failures bigint NOT NULL,
    failed_at timestamptz NOT NULL,
    succeeded_at timestamptz
);

CREATE INDEX login_attempts_by_age ON login_attempts (failed_at);

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX sessions_by_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_by_end ON sessions (tenant_id, expires_at);

-- Spent ones are kept as long as their session: only so is their reuse noticed.
CREATE TABLE refresh_tokens (
    tenant_id TEXT NOT NULL,
    hash BLOB NOT NULL,
    session_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    spent_at TEXT,
    PRIMARY KEY (tenant_id, hash),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (tenant_id, session_id);

-- Counted before anybody is known to be of any tenant, under hashes of what was typed in and of where it came from; so
-- the key cannot begin with a tenant, and nothing of a tenant stands here.
CREATE TABLE login_attempts (
    key BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    failed_at TEXT NOT NULL,
    succeeded_at TEXT
) STRICT;

CREATE INDEX login_attempts_by_age ON login_attempts (failed_at);

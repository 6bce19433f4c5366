-- A row that INSERT OR REPLACE puts in the place of another one, of the same key or of the same rowid, is removed without a
-- word to the triggers on DELETE: so each insertion is looked at. Where none is given, NEW.rowid is no row's.
CREATE TRIGGER audit_heads_begin BEFORE INSERT ON audit_heads
WHEN NEW.size <> 0 OR length(NEW.frontier) > 0
    OR EXISTS (SELECT 1 FROM audit_heads WHERE tenant_id = NEW.tenant_id OR rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, from its beginning'); END;

-- A log grows by events at its end alone, and then its head moves on to them. The roots change with the size alone, but for
-- those of a log that is older than its tree.
CREATE TRIGGER audit_events_follow BEFORE INSERT ON audit_events
WHEN length(NEW.leaf_hash) <> 32
    OR NEW.sequence <= coalesce((SELECT size FROM audit_heads WHERE tenant_id = NEW.tenant_id), NEW.sequence)
    OR NEW.sequence <> coalesce(
        (SELECT max(sequence) FROM audit_events WHERE tenant_id = NEW.tenant_id),
        (SELECT max(sequence) FROM audit_archived_leaves WHERE tenant_id = NEW.tenant_id),
        0
    ) + 1
    OR EXISTS (SELECT 1 FROM audit_events WHERE rowid = NEW.rowid)
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, by events at its end'); END;
CREATE TRIGGER audit_heads_follow BEFORE UPDATE ON audit_heads
WHEN NEW.size <> OLD.size AND (
        length(NEW.frontier) = 0 OR length(NEW.frontier) % 32 <> 0
        OR NEW.size <> (SELECT max(sequence) FROM audit_events WHERE tenant_id = NEW.tenant_id)
        OR NEW.size - OLD.size <> (
            SELECT count(*) FROM audit_events
            WHERE tenant_id = NEW.tenant_id AND sequence > OLD.size AND sequence <= NEW.size
        )
    )
    OR NEW.size = OLD.size AND NEW.frontier <> OLD.frontier AND length(OLD.frontier) > 0
    OR NEW.rowid <> OLD.rowid
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, and its head moves with its events'); END;

CREATE TRIGGER audit_nodes_follow BEFORE INSERT ON audit_nodes
WHEN length(NEW.hash) <> 32 OR NEW.level NOT BETWEEN 1 AND 62 OR NEW.position < 0
    OR NEW.position >= (SELECT size FROM audit_heads WHERE tenant_id = NEW.tenant_id) >> NEW.level
    OR EXISTS (
        SELECT 1 FROM audit_nodes
        WHERE tenant_id = NEW.tenant_id AND level = NEW.level AND position = NEW.position OR rowid = NEW.rowid
    )
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, by nodes over its events'); END;
CREATE TRIGGER audit_archived_leaves_follow BEFORE INSERT ON audit_archived_leaves
WHEN EXISTS (
    SELECT 1 FROM audit_archived_leaves
    WHERE tenant_id = NEW.tenant_id AND sequence = NEW.sequence OR rowid = NEW.rowid
)
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, by leaves of its events'); END;
CREATE TRIGGER audit_checkpoints_follow BEFORE INSERT ON audit_checkpoints
WHEN NEW.size < 0 OR NEW.size > (SELECT size FROM audit_heads WHERE tenant_id = NEW.tenant_id)
    OR EXISTS (
        SELECT 1 FROM audit_checkpoints WHERE tenant_id = NEW.tenant_id AND size = NEW.size OR rowid = NEW.rowid
    )
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, by checkpoints of its events'); END;

-- So it is with the count of what changes credentials: what replaces others counts, and the count itself only grows. A tenant
-- that is there stays as it is, which is no error: ON CONFLICT DO NOTHING comes by here, too.
CREATE TRIGGER tenants_stay BEFORE INSERT ON tenants
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id OR rowid = NEW.rowid)
BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER tenants_keep_count BEFORE UPDATE ON tenants
WHEN NEW.id <> OLD.id OR NEW.rowid <> OLD.rowid OR NEW.credentials_version < OLD.credentials_version
BEGIN SELECT RAISE(ABORT, 'the count of changes of credentials only grows'); END;
CREATE TRIGGER users_replaced BEFORE INSERT ON users
WHEN EXISTS (SELECT 1 FROM users WHERE tenant_id = NEW.tenant_id AND id = NEW.id OR rowid = NEW.rowid)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT NEW.tenant_id UNION SELECT tenant_id FROM users WHERE rowid = NEW.rowid
    );
END;
CREATE TRIGGER users_moved BEFORE UPDATE ON users WHEN NEW.rowid <> OLD.rowid
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1
    WHERE id IN (SELECT tenant_id FROM users WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER sessions_replaced BEFORE INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM sessions WHERE tenant_id = NEW.tenant_id AND id = NEW.id OR rowid = NEW.rowid)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT NEW.tenant_id UNION SELECT tenant_id FROM sessions WHERE rowid = NEW.rowid
    );
END;
CREATE TRIGGER sessions_moved BEFORE UPDATE ON sessions WHEN NEW.rowid <> OLD.rowid
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1
    WHERE id IN (SELECT tenant_id FROM sessions WHERE rowid = NEW.rowid);
END;
CREATE TRIGGER api_keys_replaced BEFORE INSERT ON api_keys
WHEN EXISTS (SELECT 1 FROM api_keys WHERE tenant_id = NEW.tenant_id AND id = NEW.id OR tenant_id = NEW.tenant_id AND prefix = NEW.prefix OR rowid = NEW.rowid)
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1 WHERE id IN (
        SELECT NEW.tenant_id UNION SELECT tenant_id FROM api_keys WHERE rowid = NEW.rowid
    );
END;
CREATE TRIGGER api_keys_moved BEFORE UPDATE ON api_keys WHEN NEW.rowid <> OLD.rowid
BEGIN
    UPDATE tenants SET credentials_version = credentials_version + 1
    WHERE id IN (SELECT tenant_id FROM api_keys WHERE rowid = NEW.rowid);
END;

DROP TRIGGER audit_heads_follow;
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

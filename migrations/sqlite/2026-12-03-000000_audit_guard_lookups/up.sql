-- Events follow one another without a gap, so the head is where it should be if there is an event there and none behind:
-- single rows are looked up, and nothing is counted.
DROP TRIGGER audit_heads_follow;
CREATE TRIGGER audit_heads_follow BEFORE UPDATE ON audit_heads
WHEN NEW.size <> OLD.size AND (
        NEW.size < OLD.size
        OR length(NEW.frontier) = 0 OR length(NEW.frontier) % 32 <> 0
        OR NOT EXISTS (SELECT 1 FROM audit_events WHERE tenant_id = NEW.tenant_id AND sequence = NEW.size)
        OR EXISTS (SELECT 1 FROM audit_events WHERE tenant_id = NEW.tenant_id AND sequence = NEW.size + 1)
    )
    OR NEW.size = OLD.size AND NEW.frontier <> OLD.frontier AND length(OLD.frontier) > 0
    OR NEW.rowid <> OLD.rowid
BEGIN SELECT RAISE(ABORT, 'the audit trail only grows, and its head moves with its events'); END;

-- The current requests, and where the points of each are: in blocks of neighbours, by the sequence of their acceptance. A row a
-- request, with two indexes, took half as long to write as all of its points.
CREATE TABLE projected_blocks (
    tenant_id TEXT NOT NULL,
    block INTEGER NOT NULL,
    requests BLOB NOT NULL,
    PRIMARY KEY (tenant_id, block)
) STRICT;

-- It is no longer used. A program that does not know of the blocks must not project beside one that does.
DELETE FROM projected_requests;
CREATE TRIGGER projected_requests_end BEFORE INSERT ON projected_requests
BEGIN SELECT RAISE(ABORT, 'a newer program keeps projected requests in blocks'); END;

-- Projections are computed anew.
UPDATE projections SET position = -1, deletions = deletions + 1, stopped_sequence = NULL, stopped_reason = NULL;

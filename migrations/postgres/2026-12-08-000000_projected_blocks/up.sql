-- The current requests, and where the points of each are: in blocks of neighbours, by the sequence of their acceptance. A row a
-- request, with two indexes, took half as long to write as all of its points.
CREATE TABLE projected_blocks (
    tenant_id text COLLATE "C" NOT NULL,
    block bigint NOT NULL,
    requests bytea NOT NULL,
    PRIMARY KEY (tenant_id, block)
);
ALTER TABLE projected_blocks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON projected_blocks USING (tenant_id = nullif(current_setting('mass.tenant', true), ''));

-- It is no longer used. A program that does not know of the blocks must not project beside one that does.
TRUNCATE projected_requests;
ALTER TABLE projected_requests ADD CONSTRAINT projected_requests_end CHECK (false);

-- Projections are computed anew.
UPDATE projections SET position = -1, deletions = deletions + 1, stopped_sequence = NULL, stopped_reason = NULL;

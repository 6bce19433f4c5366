-- Reports of sites have a series more, of which costs are read. Projections are computed anew.
UPDATE projections SET position = -1, deletions = deletions + 1, stopped_sequence = NULL, stopped_reason = NULL;

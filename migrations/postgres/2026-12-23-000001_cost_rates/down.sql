UPDATE projections SET position = -1, deletions = deletions + 1, stopped_sequence = NULL, stopped_reason = NULL;

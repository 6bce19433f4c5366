//! From tenant to tenant through the queue for the engine, in the SQL of both databases.

/// A query that goes from tenant to tenant, from the one after `$after` on, by an index and however much each has in the
/// queue: `turn` is each of them. No tenant's id is empty: who says so gets that index.
macro_rules! in_turn {
    ($after:literal, $query:literal) => {
        concat!(
            "WITH RECURSIVE turn (tenant_id) AS (
                SELECT min(tenant_id) FROM delivery_queue WHERE tenant_id > ",
            $after,
            " AND length(tenant_id) > 0
                UNION ALL
                SELECT (
                    SELECT min(tenant_id) FROM delivery_queue WHERE tenant_id > turn.tenant_id AND length(tenant_id) > 0
                )
                FROM turn WHERE turn.tenant_id IS NOT NULL
            ) ",
            $query
        )
    };
}

pub(crate) use in_turn;

//! Round-robin over the tenants in the queue for the engine, in the SQL of both databases.

/// Builds a query over the tenants that have anything in the queue, from the one after `$after` on: the relation `turn` has
/// their ids. An index gives each next tenant, however much the tenants have queued. No tenant's id is empty: repeating this
/// predicate lets the planner use the partial index.
macro_rules! round_robin {
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

pub(crate) use round_robin;

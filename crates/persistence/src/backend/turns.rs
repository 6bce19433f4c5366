//! The turns of tenants at the queue for the engine, where the queue is distributed: a statement that goes from tenant to tenant
//! would run on all nodes.
//!
//! `delivery_turns` is a small table of one node: it lists the tenants that may have something in the queue. A tenant is entered in
//! the transaction that queues something, which holds the lock of the tenant's head, and removed by a transaction that holds the
//! same lock and finds nothing in the queue.

use diesel::dsl::exists;
use diesel::prelude::*;
use mass_domain::tenancy::TenantId;

use super::Connection;
use super::audit::Head;
use crate::columns::{Instant, Word};
use crate::layout::Layout;
use crate::rows::DueRow;
use crate::schema::{delivery_queue, delivery_turns};

/// The number of tenants that one search for due deliveries asks; the next one goes on behind them.
const TENANTS_PER_SEARCH: i64 = 100;

/// The number of due deliveries to look for.
pub(crate) struct Share<'a> {
    /// The most per tenant.
    pub(crate) of_each: usize,
    /// The most over all tenants.
    pub(crate) in_all: usize,
    /// Tenants to leave out.
    pub(crate) none_of: &'a [TenantId],
}

/// Enters a tenant that has got something in the queue, in a transaction that holds the lock of its head.
pub(crate) fn enter(connection: &mut Connection, layout: Layout, tenant: &TenantId) -> QueryResult<()> {
    if layout == Layout::Distributed {
        diesel::insert_into(delivery_turns::table)
            .values(delivery_turns::tenant_id.eq(tenant.as_str()))
            .on_conflict_do_nothing()
            .execute(connection)?;
    }
    Ok(())
}

/// Removes a tenant that has nothing in the queue.
pub(super) fn leave(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    super::write(connection, |connection| {
        Head::lock(connection, tenant)?;
        let queued = delivery_queue::table.filter(delivery_queue::tenant_id.eq(tenant.as_str()));
        if !diesel::select(exists(queued)).get_result::<bool>(connection)? {
            diesel::delete(delivery_turns::table.find(tenant.as_str())).execute(connection)?;
        }
        Ok(())
    })
}

/// Tells whether tenants other than these may have something in the queue.
pub(super) fn may_be_due(connection: &mut Connection, none_of: &[TenantId]) -> QueryResult<bool> {
    let none_of: Vec<_> = none_of.iter().map(TenantId::as_str).collect();
    let others = delivery_turns::table.filter(delivery_turns::tenant_id.ne_all(none_of));
    diesel::select(exists(others)).get_result(connection)
}

/// The due places that a search has found.
#[derive(Default)]
pub(super) struct Search {
    pub(super) due: Vec<DueRow>,
    /// Tenants with nothing in the queue.
    pub(super) idle: Vec<TenantId>,
    /// The last tenant that was asked.
    pub(super) last: Option<TenantId>,
}

/// Reads the longest due places of each tenant in turn, from the one after `after` on. A tenant whose node does not answer is
/// passed over, so that the others do not wait for it.
pub(super) fn search(
    connection: &mut Connection,
    after: &str,
    Instant(now): Instant,
    share: &Share<'_>,
) -> QueryResult<Search> {
    let none_of: Vec<_> = share.none_of.iter().map(TenantId::as_str).collect();
    let in_turn = || {
        let all = delivery_turns::table.filter(delivery_turns::tenant_id.ne_all(none_of.clone()));
        all.order(delivery_turns::tenant_id).limit(TENANTS_PER_SEARCH).select(delivery_turns::tenant_id)
    };
    let mut tenants: Vec<Word<TenantId>> = in_turn().filter(delivery_turns::tenant_id.gt(after)).load(connection)?;
    tenants.extend(in_turn().filter(delivery_turns::tenant_id.le(after)).load(connection)?);
    tenants.truncate(usize::try_from(TENANTS_PER_SEARCH).unwrap_or(usize::MAX));
    let mut search = Search::default();
    for Word(tenant) in tenants {
        if search.due.len() >= share.in_all {
            break;
        }
        match first_places(connection, &tenant, share.of_each) {
            Ok(places) if places.is_empty() => search.idle.push(tenant.clone()),
            Ok(places) => {
                let room = share.in_all - search.due.len();
                search.due.extend(places.into_iter().filter(|place| place.due_at.0 <= now).take(room));
            }
            Err(error) => tracing::warn!(%tenant, %error, "the queue of a tenant cannot be read"),
        }
        search.last = Some(tenant);
    }
    Ok(search)
}

/// Reads the places of a tenant that are due first.
fn first_places(connection: &mut Connection, tenant: &TenantId, limit: usize) -> QueryResult<Vec<DueRow>> {
    delivery_queue::table
        .filter(delivery_queue::tenant_id.eq(tenant.as_str()))
        .order(delivery_queue::due_at)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((delivery_queue::tenant_id, delivery_queue::delivery_id, delivery_queue::due_at, delivery_queue::fence))
        .load(connection)
}

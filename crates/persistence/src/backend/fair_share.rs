//! The choice of due deliveries for a worker: round-robin over the tenants, with equal shares of the remaining room.

use diesel::prelude::*;
use mass_domain::tenancy::TenantId;
use mass_service::Restraint;

use super::Connection;
use crate::columns::Instant;
use crate::rows::DueRow;

/// The number of due deliveries to look for.
pub(crate) struct Share<'a> {
    /// The most per tenant.
    pub(crate) of_each: usize,
    /// The most over all tenants.
    pub(crate) in_all: usize,
    /// Tenants to leave out.
    pub(crate) none_of: &'a [TenantId],
}

/// Returns the names of tenants as a statement takes them.
pub(crate) fn names(tenants: &[TenantId]) -> Vec<&str> {
    tenants.iter().map(TenantId::as_str).collect()
}

/// Locks due deliveries: one of each tenant in turn, and then, while there is room, as many more of each. The tenants
/// after `last_served` come first. However much a tenant has queued, the others wait for no more than its turn.
pub(super) fn lock_due(
    connection: &mut Connection,
    room: usize,
    now: Instant,
    Restraint { none_of, one_of }: &Restraint,
    last_served: &mut Option<TenantId>,
) -> QueryResult<Vec<DueRow>> {
    let mut due: Vec<DueRow> = Vec::new();
    go_round(connection, &mut due, room, now, &Share { of_each: 1, in_all: room, none_of }, last_served)?;
    // If there is room left, each tenant with something due has had its turn. They get equal shares of the room, the
    // remainder in turn, and the room that a tenant does not need.
    let tenants = due.len().max(1);
    let but = [none_of.as_slice(), one_of.as_slice()].concat();
    let equal = room / tenants;
    for of_each in [equal, equal + 1, room].into_iter().filter(|of_each| *of_each > 1) {
        let before = due.len();
        let share = Share { of_each, in_all: tenants * of_each, none_of: &but };
        go_round(connection, &mut due, room, now, &share, last_served)?;
        if due.len() == before {
            break;
        }
    }
    Ok(due)
}

/// Adds each tenant's share, while there is room: from the tenant after the last served one to the last, and then from the
/// first.
fn go_round(
    connection: &mut Connection,
    due: &mut Vec<DueRow>,
    room: usize,
    now: Instant,
    share: &Share<'_>,
    last_served: &mut Option<TenantId>,
) -> QueryResult<()> {
    let last = last_served.clone();
    for after in last.iter().map(TenantId::as_str).chain([""]) {
        if due.len() >= room {
            break;
        }
        let before = due.len();
        add(due, super::lock_due(connection, after, now, share)?, room);
        if let Some(last) = due.get(before..).and_then(<[_]>::last) {
            *last_served = Some(last.tenant_id.0.clone());
        }
    }
    Ok(())
}

/// Adds those found rows that are not there yet, while there is room, the longest due of each tenant first.
fn add(due: &mut Vec<DueRow>, mut found: Vec<DueRow>, room: usize) {
    found.sort_by(|one, other| (&one.tenant_id.0, one.due_at.0).cmp(&(&other.tenant_id.0, other.due_at.0)));
    for row in found {
        if due.len() < room && !due.contains(&row) {
            due.push(row);
        }
    }
}

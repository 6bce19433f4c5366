//! The choice of due deliveries for a worker: round-robin over the tenants, with equal shares of the remaining room.

use diesel::prelude::*;
use mass_domain::tenancy::TenantId;
use mass_service::Restraint;

use super::Connection;
use super::turns::{self, Share};
use crate::columns::Instant;
use crate::layout::Layout;
use crate::rows::DueRow;

/// Returns the names of tenants as a statement takes them.
pub(crate) fn names(tenants: &[TenantId]) -> Vec<&str> {
    tenants.iter().map(TenantId::as_str).collect()
}

/// The tenants in turn.
pub(super) struct Round {
    pub(super) layout: Layout,
    /// The tenant whose delivery was claimed last.
    pub(super) last_served: Option<TenantId>,
    /// Tenants that were found to have nothing in the queue, where tenants with something are listed.
    pub(super) idle: Vec<TenantId>,
}

/// Finds due deliveries, and locks them where they are all on one machine: one of each tenant in turn, and then, while there is
/// room, as many more of each. The tenants after the last served one come first. However much a tenant has queued, the others
/// wait for no more than its turn.
pub(super) fn find_due(
    connection: &mut Connection,
    room: usize,
    now: Instant,
    Restraint { none_of, one_of }: &Restraint,
    round: &mut Round,
) -> QueryResult<Vec<DueRow>> {
    let mut due: Vec<DueRow> = Vec::new();
    go_round(connection, &mut due, room, now, &Share { of_each: 1, in_all: room, none_of }, round)?;
    // If there is room left, each tenant with something due has had its turn. They get equal shares of the room, the
    // remainder in turn, and the room that a tenant does not need.
    let tenants = due.len().max(1);
    let but = [none_of.as_slice(), one_of.as_slice()].concat();
    let equal = room / tenants;
    for of_each in [equal, equal + 1, room].into_iter().filter(|of_each| *of_each > 1) {
        let before = due.len();
        let share = Share { of_each, in_all: tenants * of_each, none_of: &but };
        go_round(connection, &mut due, room, now, &share, round)?;
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
    round: &mut Round,
) -> QueryResult<()> {
    let last = round.last_served.clone();
    if round.layout == Layout::Distributed {
        if due.len() >= room {
            return Ok(());
        }
        let after = last.as_ref().map_or("", TenantId::as_str);
        let turns::Search { due: found, idle, last } = turns::search(connection, after, now, share)?;
        let before = due.len();
        add(due, found, room);
        let served = due.get(before..).and_then(<[_]>::last).map(|place| place.tenant_id.0.clone());
        // A search that finds nothing due goes on behind the tenants that it has asked.
        round.last_served = served.or(last).or(round.last_served.take());
        round.idle.extend(idle);
        return Ok(());
    }
    for after in last.iter().map(TenantId::as_str).chain([""]) {
        if due.len() >= room {
            break;
        }
        let before = due.len();
        let mut found = super::lock_due(connection, after, now, share)?;
        found.sort_by(|one, other| (&one.tenant_id.0, one.due_at.0).cmp(&(&other.tenant_id.0, other.due_at.0)));
        add(due, found, room);
        if let Some(last) = due.get(before..).and_then(<[_]>::last) {
            round.last_served = Some(last.tenant_id.0.clone());
        }
    }
    Ok(())
}

/// Adds those found rows that are not there yet, while there is room.
fn add(due: &mut Vec<DueRow>, found: Vec<DueRow>, room: usize) {
    for row in found {
        if due.len() < room && !due.contains(&row) {
            due.push(row);
        }
    }
}

//! The audit trail: one log per tenant, numbered from 1 without gaps.

use diesel::prelude::*;
use mass_domain::audit::{Event, NewEvent};
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::Id;
use crate::rows::EventRow;
use crate::schema::{audit_events, audit_heads};
use crate::store::ROWS_PER_STATEMENT;

/// The end of a tenant's log, locked until the transaction ends. Every write of a tenant begins with this lock, so that
/// what it then reads cannot change before it has written.
pub(super) struct Head {
    tenant: TenantId,
    size: i64,
}

impl Head {
    /// Waits until no other write of the tenant is under way.
    pub(super) fn lock(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Self> {
        let size = match super::lock_head(connection, tenant)? {
            Some(size) => size,
            None => {
                diesel::insert_into(audit_heads::table)
                    .values((audit_heads::tenant_id.eq(tenant.as_str()), audit_heads::size.eq(0)))
                    .on_conflict_do_nothing()
                    .execute(connection)?;
                super::lock_head(connection, tenant)?.ok_or(diesel::NotFound)?
            }
        };
        Ok(Self { tenant: tenant.clone(), size })
    }

    /// Appends events to the log.
    pub(super) fn append(
        self,
        connection: &mut Connection,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> QueryResult<()> {
        let mut size = self.size;
        let numbered = events.into_iter().map(|event| {
            size += 1;
            EventRow::new(size, event)
        });
        let rows: Vec<_> = numbered.collect();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            diesel::insert_into(audit_events::table).values(rows).execute(connection)?;
        }
        if size > self.size {
            diesel::update(audit_heads::table.find(self.tenant.as_str()))
                .set(audit_heads::size.eq(size))
                .execute(connection)?;
        }
        Ok(())
    }
}

/// The events of a request, in their order.
pub(super) fn events_of(connection: &mut Connection, tenant: &TenantId, id: MassRequestId) -> QueryResult<Vec<Event>> {
    audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::object_id.eq(Id(id.as_uuid())))
        .order(audit_events::sequence)
        .select(EventRow::as_select())
        .load(connection)?
        .into_iter()
        .map(EventRow::into_event)
        .collect()
}

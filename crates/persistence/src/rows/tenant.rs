//! Rows of tenants.

use diesel::prelude::*;
use mass_domain::tenancy::{Lifecycle, Tenant, TenantId};

use crate::columns::{Instant, Word};
use crate::schema::tenants;

/// A tenant.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = tenants)]
pub(crate) struct TenantRow {
    id: Word<TenantId>,
    created_at: Instant,
    suspended_at: Option<Instant>,
    deletion_due_at: Option<Instant>,
    erasing_at: Option<Instant>,
    erased_at: Option<Instant>,
}

impl TenantRow {
    /// Builds the tenant.
    pub(crate) fn into_tenant(self) -> Tenant {
        let lifecycle = Lifecycle {
            suspended_at: self.suspended_at.map(|at| at.0),
            deletion_due_at: self.deletion_due_at.map(|at| at.0),
            erasing_at: self.erasing_at.map(|at| at.0),
            erased_at: self.erased_at.map(|at| at.0),
        };
        Tenant { id: self.id.0, created_at: self.created_at.0, lifecycle }
    }
}

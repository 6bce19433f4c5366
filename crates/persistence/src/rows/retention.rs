//! Rows of legal holds.

use diesel::prelude::*;
use mass_domain::contracts::ContractId;
use mass_domain::ids::LegalHoldId;
use mass_domain::retention::LegalHold;
use mass_domain::tenancy::TenantId;

use super::actor;
use crate::columns::{Id, Instant, Word};
use crate::schema::legal_holds;

/// A legal hold.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = legal_holds, treat_none_as_default_value = false)]
pub(crate) struct LegalHoldRow {
    tenant_id: Word<TenantId>,
    id: Id,
    contract: Option<Word<ContractId>>,
    reason: String,
    since: Instant,
    set_by_kind: String,
    set_by_id: Option<Id>,
}

impl LegalHoldRow {
    /// Builds the row of a tenant's hold.
    pub(crate) fn new(tenant: &TenantId, hold: &LegalHold) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(hold.id.as_uuid()),
            contract: hold.contract.map(Word),
            reason: hold.reason.clone(),
            since: Instant(hold.since),
            set_by_kind: hold.set_by.kind().to_owned(),
            set_by_id: hold.set_by.id().map(Id),
        }
    }

    /// Builds the hold.
    pub(crate) fn into_hold(self) -> QueryResult<LegalHold> {
        Ok(LegalHold {
            id: LegalHoldId::from_uuid(self.id.0),
            contract: self.contract.map(|contract| contract.0),
            reason: self.reason,
            since: self.since.0,
            set_by: actor(&self.set_by_kind, self.set_by_id)?,
        })
    }
}

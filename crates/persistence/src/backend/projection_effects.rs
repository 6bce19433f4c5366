//! The events that figures depend on.

use diesel::prelude::*;
use mass_domain::analytics::effect;
use mass_domain::audit::{Action, Outcome};
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::Word;
use crate::schema::{audit_archived_changes, audit_events};

/// Keeps what figures depend on of the events up to a position, before they are removed. Of an action that is not known here,
/// figures of a newer program may depend.
pub(super) fn keep(connection: &mut Connection, tenant: &TenantId, upto: i64) -> QueryResult<()> {
    let without_effect: Vec<Word<Action>> =
        Action::ALL.iter().copied().filter(|action| effect(*action).is_none()).map(Word).collect();
    audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.le(upto))
        .filter(audit_events::outcome.eq(Word(Outcome::Success)))
        .filter(audit_events::action.ne_all(without_effect))
        .select((audit_events::tenant_id, audit_events::sequence, audit_events::action, audit_events::object_id))
        .insert_into(audit_archived_changes::table)
        .into_columns((
            audit_archived_changes::tenant_id,
            audit_archived_changes::sequence,
            audit_archived_changes::action,
            audit_archived_changes::object_id,
        ))
        .execute(connection)?;
    Ok(())
}

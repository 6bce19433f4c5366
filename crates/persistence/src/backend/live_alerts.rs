//! Alerts that are not resolved.

use diesel::prelude::*;
use mass_domain::alerts::{Alert, RuleName};
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::rows::AlertRow;
use crate::schema::alerts;

/// Lists the alerts that are not resolved, of a rule or of all.
pub(super) fn live(connection: &mut Connection, tenant: &TenantId, rule: Option<&RuleName>) -> QueryResult<Vec<Alert>> {
    let mut query = alerts::table
        .filter(alerts::tenant_id.eq(tenant.as_str()))
        .filter(alerts::resolved_at.is_null())
        .select(AlertRow::as_select())
        .order(alerts::id)
        .into_boxed();
    if let Some(rule) = rule {
        query = query.filter(alerts::rule.eq(rule.as_str()));
    }
    query.load(connection)?.into_iter().map(AlertRow::into_alert).collect()
}

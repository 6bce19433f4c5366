//! Accounts as they are stored, for verification.

use diesel::prelude::*;
use mass_audit_service::live::{UserRecord, UserRecords};
use mass_domain::audit::Action;
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;

use super::Connection;
use super::audit::{column, count};
use crate::columns::{Id, ShownInstant};
use crate::schema::{audit_events, users as user_rows};

/// The actions whose events are about accounts.
const ACTIONS: [Action; 5] =
    [Action::UserCreated, Action::UserChanged, Action::PasswordChanged, Action::PasswordReset, Action::LoggedIn];

/// The stored columns of an account.
#[derive(Queryable, Selectable)]
#[diesel(table_name = user_rows)]
struct RawUser {
    id: Id,
    roles: String,
    disabled_at: Option<ShownInstant>,
    created_at: ShownInstant,
    password_hash: String,
}

impl From<RawUser> for UserRecord {
    fn from(raw: RawUser) -> Self {
        Self {
            id: UserId::from_uuid(raw.id.0),
            roles: raw.roles.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
            disabled: raw.disabled_at.is_some(),
            created_at: raw.created_at.0,
            credentials: Fingerprint::of(&raw.password_hash),
        }
    }
}

/// Reads the accounts, and the events about accounts after a position.
pub(super) fn users(connection: &mut Connection, tenant: &TenantId, after: u64) -> QueryResult<UserRecords> {
    super::read(connection, |connection| {
        let users: Vec<RawUser> = user_rows::table
            .filter(user_rows::tenant_id.eq(tenant.as_str()))
            .select(RawUser::as_select())
            .order(user_rows::id)
            .load(connection)?;
        let events: Vec<(i64, String)> = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.gt(column(after)))
            .filter(audit_events::action.eq_any(ACTIONS.map(Action::as_str)))
            .select((audit_events::sequence, audit_events::event))
            .order(audit_events::sequence)
            .load(connection)?;
        Ok(UserRecords {
            users: users.into_iter().map(UserRecord::from).collect(),
            events: events.into_iter().map(|(sequence, text)| (count(sequence), text)).collect(),
        })
    })
}

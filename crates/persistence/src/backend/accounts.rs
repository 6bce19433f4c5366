//! Statements on single accounts, for the transactions of several domains.

use diesel::prelude::*;
use mass_auth::Account;
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;
use mass_domain::users::User;

use super::Connection;
use super::directory::{self, Kind};
use crate::columns::Id;
use crate::rows::UserRow;
use crate::schema::users;

/// Inserts an account unless its address is taken.
pub(super) fn insert(connection: &mut Connection, account: Account) -> QueryResult<bool> {
    // The address comes first: of two that take it at once, one waits here and then finds it taken.
    let User { id, tenant_id, email, .. } = &account.user;
    let free = directory::claim(connection, Kind::Email, email.as_str(), tenant_id, id.as_uuid())?;
    if free {
        diesel::insert_into(users::table).values(UserRow::from(account)).execute(connection)?;
    }
    Ok(free)
}

/// Finds a user.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, id: UserId) -> QueryResult<Option<User>> {
    Ok(find_account(connection, tenant, id)?.map(|account| account.user))
}

/// Finds a user with its password hash.
pub(super) fn find_account(connection: &mut Connection, tenant: &TenantId, id: UserId) -> QueryResult<Option<Account>> {
    users::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(UserRow::as_select())
        .first(connection)
        .optional()?
        .map(UserRow::into_account)
        .transpose()
}

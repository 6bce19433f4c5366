//! Tenants and user accounts: what the port's methods do in their transactions.

use diesel::dsl::exists;
use diesel::prelude::*;
use mass_auth::{Account, CreateAccountError, PasswordHash};
use mass_domain::ids::UserId;
use mass_domain::tenancy::{Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};

use super::Connection;
use super::directory::{self, Kind};
use crate::columns::{Id, Instant};
use crate::rows::UserRow;
use crate::schema::{tenants, users};

/// Whether there is no account.
pub(super) fn is_empty(connection: &mut Connection) -> QueryResult<bool> {
    directory::is_empty(connection, Kind::Email)
}

/// Creates the first tenant and account, unless there is an account.
pub(super) fn found(connection: &mut Connection, tenant: &Tenant, account: Account) -> QueryResult<bool> {
    super::write(connection, |connection| {
        super::lock_founding(connection)?;
        if !is_empty(connection)? {
            return Ok(false);
        }
        diesel::insert_into(tenants::table)
            .values((tenants::id.eq(tenant.id.as_str()), tenants::created_at.eq(Instant(tenant.created_at))))
            .on_conflict_do_nothing()
            .execute(connection)?;
        insert(connection, account)
    })
}

/// Creates an account.
pub(super) fn create(connection: &mut Connection, account: Account) -> QueryResult<Result<(), CreateAccountError>> {
    super::write(connection, |connection| {
        let tenant = tenants::table.find(account.user.tenant_id.as_str());
        if !diesel::select(exists(tenant)).get_result::<bool>(connection)? {
            return Ok(Err(CreateAccountError::NoSuchTenant));
        }
        let inserted = insert(connection, account)?;
        Ok(if inserted { Ok(()) } else { Err(CreateAccountError::EmailTaken) })
    })
}

/// Inserts an account unless its address is taken.
fn insert(connection: &mut Connection, account: Account) -> QueryResult<bool> {
    // The address comes first: of two that take it at once, one waits here and then finds it taken.
    let User { id, tenant_id, email, .. } = &account.user;
    let free = directory::claim(connection, Kind::Email, email.as_str(), tenant_id, id.as_uuid())?;
    if free {
        diesel::insert_into(users::table).values(UserRow::from(account)).execute(connection)?;
    }
    Ok(free)
}

/// Finds an account by its address.
pub(super) fn find_by_email(connection: &mut Connection, email: &Email) -> QueryResult<Option<Account>> {
    let Some((tenant, id)) = directory::find(connection, Kind::Email, email.as_str())? else {
        return Ok(None);
    };
    find_account(connection, &tenant, UserId::from_uuid(id))
}

/// Finds a user.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, id: UserId) -> QueryResult<Option<User>> {
    Ok(find_account(connection, tenant, id)?.map(|account| account.user))
}

fn find_account(connection: &mut Connection, tenant: &TenantId, id: UserId) -> QueryResult<Option<Account>> {
    users::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(UserRow::as_select())
        .first(connection)
        .optional()?
        .map(UserRow::into_account)
        .transpose()
}

/// Gives a user another password; tells whether there is such a user.
pub(super) fn set_password(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    password: &PasswordHash,
    at: Timestamp,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let changed = diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .set((users::password_hash.eq(password.as_str()), users::updated_at.eq(Instant(at))))
            .execute(connection)?;
        Ok(changed == 1)
    })
}

/// Replaces the hash of an unchanged password.
pub(super) fn rehash_password(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> QueryResult<()> {
    super::write(connection, |connection| {
        diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .filter(users::password_hash.eq(old.as_str()))
            .set(users::password_hash.eq(new.as_str()))
            .execute(connection)
            .map(|_| ())
    })
}

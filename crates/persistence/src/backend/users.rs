//! User accounts: the ports and their transactions.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use mass_admin_service::{
    AccountStore, ChangeUserError, ChangedUser, CreateUserError, LeavingStore, PasswordReset, ResetUserPasswordError,
    UserChange, UserDeletion, cascaded_revocation,
};
use mass_auth::{Account, PasswordChange, PasswordHash, UserStore};
use mass_domain::access::{Actor, Role};
use mass_domain::audit::NewEvent;
use mass_domain::ids::UserId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, Suspended, Tenant, TenantId};
use mass_domain::users::{Email, User};
use uuid::Uuid;

use super::accounts::{find, find_account, insert};
use super::audit::Head;
use super::directory::{self, Kind};
use super::{Connection, Store, api_keys, credentials, second_factors, sessions, tenants as tenant_rows};
use crate::columns::{Id, Instant, Set, Word};
use crate::rows::UserRow;
use crate::schema::{tenants, users};

#[async_trait]
impl UserStore for Store {
    async fn is_empty(&self) -> Result<bool, PortError> {
        self.reads.read_outside(is_empty).await
    }

    async fn bootstrap(&self, tenant: Tenant, account: Account, events: Vec<NewEvent>) -> Result<bool, PortError> {
        let id = tenant.id.clone();
        self.writes.run_for(&id, move |connection, _| bootstrap(connection, &tenant, account, events)).await
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError> {
        let email = email.clone();
        self.reads.read_for_found(move |connection| whose(connection, &email), find_account).await
    }

    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        self.writes
            .run_for(tenant, move |connection, tenant| set_password(connection, tenant, id, &password, event))
            .await
    }

    async fn change_password(&self, change: PasswordChange, event: NewEvent) -> Result<bool, PortError> {
        let tenant = change.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| change_password(connection, &change, event)).await
    }

    async fn credentials_version(&self, tenant: &TenantId) -> Result<Option<CredentialsVersion>, PortError> {
        let tenant = tenant.clone();
        // Outside the tenants, where it needs no transaction to be held within one.
        self.reads.read_outside(move |connection| credentials::version(connection, &tenant)).await
    }
}

#[async_trait]
impl AccountStore for Store {
    async fn insert(&self, account: Account, event: NewEvent) -> Result<(), CreateUserError> {
        let tenant = account.user.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| create(connection, account, event)).await?
    }

    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn list(&self, tenant: &TenantId, before: Option<UserId>, limit: Limit) -> Result<Vec<User>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, before, limit)).await
    }

    async fn update(&self, tenant: &TenantId, id: UserId, change: UserChange) -> Result<ChangedUser, ChangeUserError> {
        self.writes.run_for(tenant, move |connection, tenant| self::change(connection, tenant, id, &change)).await?
    }
}

#[async_trait]
impl LeavingStore for Store {
    async fn reset_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        reset: PasswordReset,
    ) -> Result<(), ResetUserPasswordError> {
        let reset =
            move |connection: &mut Connection, tenant: &TenantId| self::reset_password(connection, tenant, id, &reset);
        self.writes.run_for(tenant, reset).await?
    }

    async fn delete(&self, tenant: &TenantId, id: UserId, deletion: UserDeletion) -> Result<(), ChangeUserError> {
        let delete =
            move |connection: &mut Connection, tenant: &TenantId| self::delete(connection, tenant, id, &deletion);
        let deleted = self.writes.run_for(tenant, delete).await?;
        super::sweep(self).await;
        deleted
    }
}

/// Tells whether there is no account.
pub(super) fn is_empty(connection: &mut Connection) -> QueryResult<bool> {
    directory::is_empty(connection, Kind::Email)
}

/// Creates the first tenant and account, unless there is an account.
pub(super) fn bootstrap(
    connection: &mut Connection,
    tenant: &Tenant,
    account: Account,
    events: Vec<NewEvent>,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        super::lock_bootstrap(connection)?;
        if !is_empty(connection)? {
            return Ok(false);
        }
        tenant_rows::insert(connection, tenant)?;
        let head = Head::lock(connection, &tenant.id)?;
        let founded = insert(connection, account)?;
        if founded {
            head.append(connection, events)?;
        }
        Ok(founded)
    })
}

/// Creates an account.
pub(super) fn create(
    connection: &mut Connection,
    account: Account,
    event: NewEvent,
) -> QueryResult<Result<(), CreateUserError>> {
    super::write(connection, |connection| {
        let tenant = tenants::table.find(account.user.tenant_id.as_str());
        if !diesel::select(exists(tenant)).get_result::<bool>(connection)? {
            return Ok(Err(CreateUserError::NoSuchTenant));
        }
        let head = Head::lock(connection, &account.user.tenant_id)?;
        // A local command may prepare a tenant that is suspended.
        let is_local = event.actor == Actor::System;
        if !is_local && tenant_rows::is_suspended(connection, &account.user.tenant_id)? {
            return Ok(Err(Suspended.into()));
        }
        if tenant_rows::is_erased(connection, &account.user.tenant_id)? {
            return Ok(Err(CreateUserError::NoSuchTenant));
        }
        if api_keys::has_ended(connection, &account.user.tenant_id, event.actor, event.at)? {
            return Ok(Err(CreateUserError::CallerEnded));
        }
        if !insert(connection, account)? {
            return Ok(Err(CreateUserError::EmailTaken));
        }
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

/// Looks up an address in the directory. An unknown address leads to an id that no user has, so that the look-up there
/// takes as long as for a known one.
pub(super) fn whose(connection: &mut Connection, email: &Email) -> QueryResult<Option<(TenantId, UserId)>> {
    let found = directory::find(connection, Kind::Email, email.as_str())?;
    let found = found.or_else(|| Some((TenantId::parse(TenantId::SYSTEM).ok()?, Uuid::nil())));
    Ok(found.map(|(tenant, id)| (tenant, UserId::from_uuid(id))))
}

/// Lists users, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    before: Option<UserId>,
    limit: Limit,
) -> QueryResult<Vec<User>> {
    let mut query = users::table
        .filter(users::tenant_id.eq(tenant.as_str()))
        .select(UserRow::as_select())
        .order(users::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(users::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(|row| Ok(row.into_account()?.user)).collect()
}

/// Changes a user's roles and state.
pub(super) fn change(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    change: &UserChange,
) -> QueryResult<Result<ChangedUser, ChangeUserError>> {
    super::write(connection, |connection| {
        // Two administrators who demote each other come here one after the other.
        let head = Head::lock(connection, tenant)?;
        if api_keys::has_ended(connection, tenant, change.principal.actor(), change.at)? {
            return Ok(Err(ChangeUserError::CallerEnded));
        }
        let Some(user) = find(connection, tenant, id)? else {
            return Ok(Err(ChangeUserError::NotFound));
        };
        let changed = match change.apply(&user, other_admins(connection, &user)?) {
            Ok(changed) => changed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keys = if change.revokes_keys() {
            api_keys::revoke_descendants(connection, tenant, Actor::User(id), change.at)?
        } else {
            Vec::new()
        };
        if changed.email != user.email && !move_address(connection, &user, &changed)? {
            return Ok(Err(ChangeUserError::EmailTaken));
        }
        if changed == user && keys.is_empty() {
            return Ok(Ok(ChangedUser { user, revoked_keys: 0 }));
        }
        diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .set((
                users::email.eq(changed.email.as_str()),
                users::roles.eq(Word(Set(changed.roles.clone()))),
                users::disabled_at.eq(changed.disabled_at.map(Instant)),
                users::updated_at.eq(Instant(change.at)),
            ))
            .execute(connection)?;
        if changed.disabled_at.is_some() {
            // So that a user who is enabled again has to log in again.
            sessions::end_others(connection, tenant, id, None, change.at)?;
        }
        credentials::advance(connection, tenant)?;
        let event = change.event(&user, &changed, keys.len());
        let revoked_keys = keys.len();
        let followed: Vec<_> = keys.into_iter().map(|key| cascaded_revocation(&event, key)).collect();
        head.append(connection, std::iter::once(event).chain(followed))?;
        Ok(Ok(ChangedUser { user: changed, revoked_keys }))
    })
}

/// Gives a user another address in the directory, and frees the one before. Returns whether it was free.
fn move_address(connection: &mut Connection, before: &User, after: &User) -> QueryResult<bool> {
    let User { id, tenant_id, email, .. } = after;
    let is_free = directory::claim(connection, Kind::Email, email.as_str(), tenant_id, id.as_uuid())?;
    if is_free {
        directory::release(connection, Kind::Email, before.email.as_str(), tenant_id, id.as_uuid())?;
    }
    Ok(is_free)
}

/// Sets the password of a user as an administrator wants it.
pub(super) fn reset_password(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    reset: &PasswordReset,
) -> QueryResult<Result<(), ResetUserPasswordError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if api_keys::has_ended(connection, tenant, reset.principal.actor(), reset.at)? {
            return Ok(Err(ResetUserPasswordError::CallerEnded));
        }
        let Some(user) = find(connection, tenant, id)?.filter(|user| user.deleted_at.is_none()) else {
            return Ok(Err(ResetUserPasswordError::NotFound));
        };
        let event = match reset.judge(&user) {
            Ok(event) => event,
            Err(forbidden) => return Ok(Err(forbidden.into())),
        };
        diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .set((users::password_hash.eq(reset.password.as_str()), users::updated_at.eq(Instant(reset.at))))
            .execute(connection)?;
        sessions::end_others(connection, tenant, id, None, reset.at)?;
        credentials::advance(connection, tenant)?;
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

/// Deletes a user: the address, the password, the sessions and the keys.
pub(super) fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    deletion: &UserDeletion,
) -> QueryResult<Result<(), ChangeUserError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if api_keys::has_ended(connection, tenant, deletion.principal.actor(), deletion.at)? {
            return Ok(Err(ChangeUserError::CallerEnded));
        }
        let Some(user) = find(connection, tenant, id)? else {
            return Ok(Err(ChangeUserError::NotFound));
        };
        if user.deleted_at.is_some() {
            return Ok(Ok(()));
        }
        let deleted = match deletion.apply(&user, other_admins(connection, &user)?) {
            Ok(deleted) => deleted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        directory::release(connection, Kind::Email, user.email.as_str(), tenant, id.as_uuid())?;
        diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .set((
                users::email.eq(deleted.email.as_str()),
                users::password_hash.eq(UserDeletion::password().as_str()),
                users::disabled_at.eq(deleted.disabled_at.map(Instant)),
                users::deleted_at.eq(deleted.deleted_at.map(Instant)),
                users::second_factor_at.eq(None::<Instant>),
                users::updated_at.eq(Instant(deletion.at)),
            ))
            .execute(connection)?;
        second_factors::erase(connection, tenant, id)?;
        sessions::end_others(connection, tenant, id, None, deletion.at)?;
        let keys = api_keys::revoke_descendants(connection, tenant, Actor::User(id), deletion.at)?;
        credentials::advance(connection, tenant)?;
        let event = deletion.event(&user, &deleted, keys.len());
        let followed: Vec<_> = keys.into_iter().map(|key| cascaded_revocation(&event, key)).collect();
        head.append(connection, std::iter::once(event).chain(followed))?;
        Ok(Ok(()))
    })
}

/// Counts the other administrators of a user's tenant.
fn other_admins(connection: &mut Connection, user: &User) -> QueryResult<usize> {
    let others: Vec<Word<Set<Role>>> = users::table
        .filter(users::tenant_id.eq(user.tenant_id.as_str()))
        .filter(users::id.ne(Id(user.id.as_uuid())))
        .filter(users::disabled_at.is_null())
        .select(users::roles)
        .load(connection)?;
    Ok(others.iter().filter(|roles| roles.0.0.contains(&Role::Admin)).count())
}

/// Sets a user's password and ends its sessions. Returns whether there is such a user.
pub(super) fn set_password(
    connection: &mut Connection,
    tenant: &TenantId,
    id: UserId,
    password: &PasswordHash,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let at = event.at;
        let changed = diesel::update(users::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .set((users::password_hash.eq(password.as_str()), users::updated_at.eq(Instant(at))))
            .execute(connection)?;
        if changed == 0 {
            return Ok(false);
        }
        sessions::end_others(connection, tenant, id, None, at)?;
        credentials::advance(connection, tenant)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

/// Replaces the proved password of a user. Returns whether it still was the user's.
pub(super) fn change_password(
    connection: &mut Connection,
    change: &PasswordChange,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let PasswordChange { tenant_id, user_id, session_id, proved, password } = change;
        let head = Head::lock(connection, tenant_id)?;
        let at = event.at;
        let changed = diesel::update(users::table.find((tenant_id.as_str(), Id(user_id.as_uuid()))))
            .filter(users::password_hash.eq(proved.as_str()))
            .set((users::password_hash.eq(password.as_str()), users::updated_at.eq(Instant(at))))
            .execute(connection)?;
        if changed == 0 {
            return Ok(false);
        }
        sessions::end_others(connection, tenant_id, *user_id, Some(*session_id), at)?;
        credentials::advance(connection, tenant_id)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

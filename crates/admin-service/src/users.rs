//! The users of a tenant: creation, lists, and changes of roles and status.
//!
//! The row of a user who is deleted stays, because audit events refer to its id permanently.

use std::collections::BTreeSet;

use async_trait::async_trait;
use mass_auth::{Account, NewPassword, created_user};
use mass_domain::access::{Actor, Forbidden, Permission, Principal, Role};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::ids::UserId;
use mass_domain::page::{CursorScope, Limit, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Suspended, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use mass_domain::users::{Email, User};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::AdminService;
use crate::api_keys::BoundKey;
use crate::passwords::from_passwords_error;
use crate::read::{ListQuery, ReadError};

/// The port that stores user accounts. Each call is one transaction, restricted to the tenant's data, and appends the
/// audit event of the change.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Creates an account.
    ///
    /// # Errors
    /// [`CreateUserError::CallerEnded`] if the caller may not act any more.
    async fn insert(&self, account: Account, event: NewEvent) -> Result<(), CreateUserError>;

    /// Finds a user.
    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError>;

    /// Lists users, newest (greatest id) first, from below `before`: at most `limit + 1` rows.
    async fn list(&self, tenant: &TenantId, before: Option<UserId>, limit: Limit) -> Result<Vec<User>, PortError>;

    /// Applies a change with [`UserChange::apply`] to the stored user, and appends [`UserChange::event`] if the user
    /// differs. Changes within a tenant are serialised. Also revokes the user's keys if [`UserChange::revokes_keys`]
    /// says so.
    async fn update(&self, tenant: &TenantId, id: UserId, change: UserChange) -> Result<ChangedUser, ChangeUserError>;
}

/// The input for creating a user in the caller's tenant.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The e-mail address.
    pub email: Email,
    /// Roles to grant.
    pub roles: BTreeSet<Role>,
    /// The initial password; generated if `None`.
    pub password: Option<NewPassword>,
}

/// The result of creating a user.
#[derive(Debug)]
pub struct CreatedUser {
    /// The user.
    pub user: User,
    /// The password if it was generated, to be shown once: MASS stores only its hash.
    pub generated_password: Option<SecretString>,
}

/// Reason why a user is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The calling key is restricted to addresses or expires.
    #[error(transparent)]
    BoundKey(#[from] BoundKey),
    /// The caller was revoked, expired or disabled in the meantime.
    #[error("the caller was revoked, has expired or was disabled in the meantime")]
    CallerEnded,
    /// A user with this address exists, in any tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// The tenant does not exist, or nobody can log in to it.
    #[error("the tenant does not exist")]
    NoSuchTenant,
    /// The tenant is suspended.
    #[error(transparent)]
    Suspended(#[from] Suspended),
    /// Too many passwords are being hashed. A later attempt may succeed.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
    /// An internal error.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(CreateUserError);

/// A requested change of a user. `None` leaves a value unchanged.
#[derive(Debug, Clone)]
pub struct UserChange {
    /// The caller.
    pub principal: Principal,
    /// The new address.
    pub email: Option<Email>,
    /// The new roles.
    pub roles: Option<BTreeSet<Role>>,
    /// The new status: `true` disables the user.
    pub disabled: Option<bool>,
    /// True if disabling the user leaves its API keys valid.
    pub keep_keys: bool,
    /// The time of the change.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl UserChange {
    /// Computes the changed user. `other_admins` is the number of other enabled administrators of the tenant.
    ///
    /// # Errors
    /// [`ChangeUserError::NotFound`] for a user who is deleted, then [`ChangeUserError::Forbidden`] before
    /// [`ChangeUserError::LastAdmin`].
    pub fn apply(&self, user: &User, other_admins: usize) -> Result<User, ChangeUserError> {
        if user.deleted_at.is_some() {
            return Err(ChangeUserError::NotFound);
        }
        let mut changed = user.clone();
        if let Some(email) = &self.email {
            changed.email = email.clone();
        }
        if let Some(roles) = &self.roles {
            changed.roles.clone_from(roles);
        }
        match self.disabled {
            Some(true) => changed.disabled_at = Some(user.disabled_at.unwrap_or(self.at)),
            Some(false) => changed.disabled_at = None,
            None => {}
        }
        self.principal.require_authority_over(&user.roles)?;
        self.principal.require_authority_over(&changed.roles)?;
        if user.is_active_admin() && !changed.is_active_admin() && other_admins == 0 {
            return Err(ChangeUserError::LastAdmin);
        }
        Ok(changed)
    }

    /// Tells whether the change also revokes the keys that the user created, directly or through other keys. A disabled
    /// user could otherwise continue with one of them.
    #[must_use]
    pub fn revokes_keys(&self) -> bool {
        self.disabled == Some(true) && !self.keep_keys
    }

    /// Builds the event of the change. `revoked_keys` is the number of keys revoked with it.
    #[must_use]
    pub fn event(&self, before: &User, after: &User, revoked_keys: usize) -> NewEvent {
        let event = Act::new(self.principal.actor(), self.at, &self.origin)
            .done(&after.tenant_id, Action::UserChanged, Object::User(after.id))
            .with("before", shown(before))
            .with("after", shown(after));
        // Not the address itself: the log cannot forget personal data.
        let event = if before.email == after.email { event } else { event.with("email_changed", true) };
        if self.disabled == Some(true) { event.with("revoked_keys", revoked_keys) } else { event }
    }
}

/// The result of changing a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedUser {
    /// The changed user.
    pub user: User,
    /// Number of API keys revoked with the change.
    pub revoked_keys: usize,
}

/// The part of a [`UserChange`] that the caller requests. `None` leaves a value unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// The new address.
    pub email: Option<Email>,
    /// The new roles.
    pub roles: Option<BTreeSet<Role>>,
    /// The new status: `true` disables the user.
    pub disabled: Option<bool>,
    /// True if disabling the user leaves its API keys valid.
    pub keep_keys: bool,
}

/// Shows the roles and the status of a user, as events have them.
pub(crate) fn shown(user: &User) -> Value {
    let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
    json!({"roles": roles, "disabled": user.disabled_at.is_some()})
}

/// Reason why a user is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeUserError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The calling key is restricted to addresses or expires.
    #[error(transparent)]
    BoundKey(#[from] BoundKey),
    /// The caller was revoked, expired or disabled in the meantime.
    #[error("the caller was revoked, has expired or was disabled in the meantime")]
    CallerEnded,
    /// The caller's tenant has no such user.
    #[error("the user does not exist")]
    NotFound,
    /// The address is another user's, in any tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// The tenant would have no enabled administrator left.
    #[error("the user is the last administrator of the tenant")]
    LastAdmin,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// Creates a user in the caller's tenant.
    ///
    /// # Errors
    /// [`CreateUserError`].
    pub async fn create_user(
        &self,
        principal: &Principal,
        new: NewUser,
        origin: &Origin,
    ) -> Result<CreatedUser, CreateUserError> {
        principal.require(Permission::UsersManage)?;
        principal.require_authority_over(&new.roles)?;
        self.require_unbound::<CreateUserError>(principal).await?;
        self.store_user(principal.tenant(), new, principal.actor(), origin).await
    }

    /// Creates a user without checking permissions.
    pub(crate) async fn store_user(
        &self,
        tenant: &TenantId,
        new: NewUser,
        actor: Actor,
        origin: &Origin,
    ) -> Result<CreatedUser, CreateUserError> {
        if tenant.as_str() == TenantId::SYSTEM {
            return Err(CreateUserError::NoSuchTenant);
        }
        let password = self.initial_password(new.password).await?;
        let act = Act::new(actor, self.clock.now(), origin);
        let user = self.new_user(tenant.clone(), new.email, new.roles, act.at);
        let event = created_user(&act, &user, &password.hash);
        self.stores.accounts.insert(Account { user: user.clone(), password: password.hash }, event).await?;
        Ok(CreatedUser { user, generated_password: password.generated })
    }

    /// Builds a user that is not stored yet.
    pub(crate) fn new_user(
        &self,
        tenant_id: TenantId,
        email: Email,
        roles: BTreeSet<Role>,
        created_at: Timestamp,
    ) -> User {
        let id = UserId::from_uuid(self.next_id(created_at));
        User { id, tenant_id, email, roles, disabled_at: None, deleted_at: None, second_factor_at: None, created_at }
    }

    /// Returns a user of the caller's tenant.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn user(&self, principal: &Principal, id: UserId) -> Result<User, ReadError> {
        principal.require(Permission::UsersManage)?;
        self.stores.accounts.find(principal.tenant(), id).await?.ok_or(ReadError::NotFound)
    }

    /// Returns a page of the users of the caller's tenant, newest first.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::NotFound`].
    pub async fn users(&self, principal: &Principal, query: &ListQuery) -> Result<Page<User>, ReadError> {
        principal.require(Permission::UsersManage)?;
        let scope = CursorScope::of("users", [Some(principal.tenant().as_str())]);
        let before = query.last_seen(scope)?.map(UserId::from_uuid);
        let rows = self.stores.accounts.list(principal.tenant(), before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// Changes the address, the roles or the status of a user of the caller's tenant. It takes effect on the user's next request.
    /// Disabling a user also revokes the keys that it created, directly or through other keys, unless `keep_keys` is
    /// set.
    ///
    /// # Errors
    /// [`ChangeUserError`]. The user is then unchanged.
    pub async fn change_user(
        &self,
        principal: &Principal,
        id: UserId,
        patch: UserPatch,
        origin: &Origin,
    ) -> Result<ChangedUser, ChangeUserError> {
        principal.require(Permission::UsersManage)?;
        let UserPatch { email, roles, disabled, keep_keys } = patch;
        if email.is_some() || roles.is_some() || disabled == Some(false) {
            self.require_unbound::<ChangeUserError>(principal).await?;
        }
        let (at, origin) = (self.clock.now(), origin.clone());
        let change = UserChange { principal: principal.clone(), email, roles, disabled, keep_keys, at, origin };
        self.stores.accounts.update(principal.tenant(), id, change).await
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::ids::SessionId;
    use mass_domain::trace::RequestId;
    use uuid::Uuid;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros).unwrap()
    }

    fn user(roles: &[Role]) -> User {
        User {
            id: UserId::from_uuid(Uuid::nil()),
            tenant_id: TenantId::parse("default").unwrap(),
            email: Email::parse("a@example.test").unwrap(),
            roles: roles.iter().copied().collect(),
            disabled_at: None,
            deleted_at: None,
            second_factor_at: None,
            created_at: at(0),
        }
    }

    fn change(by: &[Role], roles: Option<&[Role]>, disabled: Option<bool>) -> UserChange {
        let principal = user(by).into_principal(SessionId::from_uuid(Uuid::nil())).unwrap();
        let roles = roles.map(|roles| roles.iter().copied().collect());
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        UserChange { principal, email: None, roles, disabled, keep_keys: false, at: at(9), origin }
    }

    #[test]
    fn change_affects_only_the_given_values() {
        let viewer = user(&[Role::Viewer]);
        let disabled = change(&[Role::Admin], None, Some(true)).apply(&viewer, 1).unwrap();
        assert_eq!(disabled, User { disabled_at: Some(at(9)), ..viewer.clone() });
        let earlier = User { disabled_at: Some(at(3)), ..viewer.clone() };
        assert_eq!(change(&[Role::Admin], None, Some(true)).apply(&earlier, 1).unwrap(), earlier);
        assert_eq!(change(&[Role::Admin], None, Some(false)).apply(&earlier, 1).unwrap(), viewer);
        let promoted = change(&[Role::Admin], Some(&[Role::Operator]), None).apply(&viewer, 1).unwrap();
        assert_eq!(promoted, user(&[Role::Operator]));
    }

    #[test]
    fn a_new_address_is_told_of_and_not_told() {
        let viewer = user(&[Role::Viewer]);
        let email = Some(Email::parse("b@example.test").unwrap());
        let change = UserChange { email, ..change(&[Role::Admin], None, None) };
        let changed = change.apply(&viewer, 1).unwrap();
        assert_eq!(changed, User { email: Email::parse("b@example.test").unwrap(), ..viewer.clone() });
        let detail = Value::Object(change.event(&viewer, &changed, 0).detail);
        assert!(detail["email_changed"] == true && !detail.to_string().contains('@'), "{detail}");
    }

    #[test]
    fn a_deleted_user_is_not_changed() {
        let deleted = User { deleted_at: Some(at(1)), ..user(&[Role::Viewer]) };
        let refused = change(&[Role::Admin], None, Some(false)).apply(&deleted, 1);
        assert!(matches!(refused, Err(ChangeUserError::NotFound)), "{refused:?}");
    }

    #[test]
    fn keeps_the_last_administrator() {
        let admin = user(&[Role::Admin, Role::Operator]);
        for last in [change(&[Role::Admin], Some(&[Role::Operator]), None), change(&[Role::Admin], None, Some(true))] {
            assert!(matches!(last.apply(&admin, 0), Err(ChangeUserError::LastAdmin)));
            assert!(last.apply(&admin, 1).is_ok());
            let disabled = User { disabled_at: Some(at(3)), ..admin.clone() };
            assert!(last.apply(&disabled, 0).is_ok(), "who is disabled administers nothing");
            assert!(last.apply(&user(&[Role::Viewer]), 0).is_ok());
        }
        assert!(change(&[Role::Admin], Some(&[Role::Admin]), None).apply(&admin, 0).is_ok());
    }

    #[test]
    fn only_platform_admins_create_and_change_platform_admins() {
        let (viewer, platform) = (user(&[Role::Viewer]), user(&[Role::PlatformAdmin]));
        let forbidden =
            |result| matches!(result, Err(ChangeUserError::Forbidden(Forbidden(Permission::TenantsManage))));
        let both = [Role::Admin, Role::PlatformAdmin];
        assert!(forbidden(change(&[Role::Admin], Some(&both), None).apply(&viewer, 1)));
        assert!(forbidden(change(&[Role::Admin], Some(&[Role::Viewer]), None).apply(&platform, 1)));
        assert!(forbidden(change(&[Role::Admin], None, Some(true)).apply(&platform, 1)));
        assert!(change(&both, Some(&both), None).apply(&viewer, 1).is_ok());
        assert!(change(&both, None, Some(true)).apply(&platform, 1).is_ok());
    }
}

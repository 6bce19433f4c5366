//! A user's password from an administrator, and a user who leaves.

use async_trait::async_trait;
use mass_auth::{NewPassword, PasswordHash};
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, CREDENTIALS, NewEvent, Object};
use mass_domain::ids::UserId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use mass_domain::users::{Email, User};
use secrecy::SecretString;

use crate::AdminService;
use crate::api_keys::BoundKey;
use crate::passwords::from_passwords_error;
use crate::users::{ChangeUserError, shown};

/// The port that resets passwords and deletes users. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait LeavingStore: Send + Sync {
    /// Sets a user's password as [`PasswordReset::judge`] decides on the stored user, and ends its sessions.
    async fn reset_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        reset: PasswordReset,
    ) -> Result<(), ResetUserPasswordError>;

    /// Deletes a user as [`UserDeletion::apply`] decides on the stored one: frees its address, ends its sessions, revokes its
    /// keys, and appends [`UserDeletion::event`]. Does nothing for a user who is deleted.
    async fn delete(&self, tenant: &TenantId, id: UserId, deletion: UserDeletion) -> Result<(), ChangeUserError>;
}

/// Reason why a user's password is not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetUserPasswordError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The calling key is restricted to addresses or expires.
    #[error(transparent)]
    BoundKey(#[from] BoundKey),
    /// The caller was revoked, expired or disabled in the meantime.
    #[error("the caller was revoked, has expired or was disabled in the meantime")]
    CallerEnded,
    /// The password is the caller's own, which needs the present one.
    #[error("the password is the caller's own")]
    Own,
    /// The caller's tenant has no such user.
    #[error("the user does not exist")]
    NotFound,
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
from_passwords_error!(ResetUserPasswordError);

/// A password that an administrator gives to a user.
#[derive(Debug, Clone)]
pub struct PasswordReset {
    /// The caller.
    pub principal: Principal,
    /// The hash of the password.
    pub password: PasswordHash,
    /// The time of the change.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl PasswordReset {
    /// Judges the reset of a stored user's password, and builds its event.
    ///
    /// # Errors
    /// [`Forbidden`] if the user may do more than the caller could grant.
    pub fn judge(&self, user: &User) -> Result<NewEvent, Forbidden> {
        self.principal.require_authority_over(&user.roles)?;
        let act = Act::new(self.principal.actor(), self.at, &self.origin);
        let event = act.done(&user.tenant_id, Action::PasswordReset, Object::User(user.id));
        Ok(event.with(CREDENTIALS, self.password.digest().to_string()))
    }
}

/// The deletion of a user: of the address and the password. The id stays, since events name it.
#[derive(Debug, Clone)]
pub struct UserDeletion {
    /// The caller.
    pub principal: Principal,
    /// The time of the deletion.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl UserDeletion {
    /// Computes what remains of a user. `other_admins` is the number of other enabled administrators of the tenant.
    ///
    /// # Errors
    /// [`ChangeUserError::Forbidden`] before [`ChangeUserError::LastAdmin`].
    pub fn apply(&self, user: &User, other_admins: usize) -> Result<User, ChangeUserError> {
        self.principal.require_authority_over(&user.roles)?;
        if user.is_active_admin() && other_admins == 0 {
            return Err(ChangeUserError::LastAdmin);
        }
        Ok(User {
            email: Email::of_deleted(user.id),
            disabled_at: Some(user.disabled_at.unwrap_or(self.at)),
            deleted_at: Some(self.at),
            second_factor_at: None,
            ..user.clone()
        })
    }

    /// Returns the text in the place of the password's hash: no password matches it.
    #[must_use]
    pub fn password() -> PasswordHash {
        PasswordHash::from_stored("deleted".to_owned())
    }

    /// Builds the event of the deletion. `revoked_keys` is the number of keys revoked with it.
    #[must_use]
    pub fn event(&self, before: &User, after: &User, revoked_keys: usize) -> NewEvent {
        Act::new(self.principal.actor(), self.at, &self.origin)
            .done(&after.tenant_id, Action::UserDeleted, Object::User(after.id))
            .with("before", shown(before))
            .with("after", shown(after))
            .with("revoked_keys", revoked_keys)
            .with(CREDENTIALS, Self::password().digest().to_string())
    }
}

impl AdminService {
    /// Gives a user of the caller's tenant another password, and ends its sessions. Returns the password if it was generated,
    /// to be shown once.
    ///
    /// # Errors
    /// [`ResetUserPasswordError`].
    pub async fn reset_password(
        &self,
        principal: &Principal,
        id: UserId,
        password: Option<NewPassword>,
        origin: &Origin,
    ) -> Result<Option<SecretString>, ResetUserPasswordError> {
        principal.require(Permission::UsersManage)?;
        if principal.actor() == Actor::User(id) {
            return Err(ResetUserPasswordError::Own);
        }
        self.require_unbound::<ResetUserPasswordError>(principal).await?;
        let password = self.initial_password(password).await?;
        let reset = PasswordReset {
            principal: principal.clone(),
            password: password.hash,
            at: self.clock.now(),
            origin: origin.clone(),
        };
        self.stores.leaving.reset_password(principal.tenant(), id, reset).await?;
        Ok(password.generated)
    }

    /// Returns a user whose second factor the caller may reset, as far as the caller itself is concerned.
    ///
    /// # Errors
    /// [`ResetUserPasswordError`].
    pub async fn holder_of_factor(&self, principal: &Principal, id: UserId) -> Result<User, ResetUserPasswordError> {
        principal.require(Permission::UsersManage)?;
        self.require_unbound::<ResetUserPasswordError>(principal).await?;
        let user = self.stores.accounts.find(principal.tenant(), id).await?;
        user.filter(|user| user.deleted_at.is_none()).ok_or(ResetUserPasswordError::NotFound)
    }

    /// Deletes a user of the caller's tenant: its address is free again, nobody can log in, its sessions end and the API keys
    /// that it created are revoked, with those that these created. Its id stays, since events name it. Does nothing for a user
    /// who is deleted.
    ///
    /// # Errors
    /// [`ChangeUserError`]. The user is then unchanged.
    pub async fn delete_user(&self, principal: &Principal, id: UserId, origin: &Origin) -> Result<(), ChangeUserError> {
        principal.require(Permission::UsersManage)?;
        let deletion = UserDeletion { principal: principal.clone(), at: self.clock.now(), origin: origin.clone() };
        self.stores.leaving.delete(principal.tenant(), id, deletion).await
    }
}

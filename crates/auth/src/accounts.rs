//! Creation of the first account at the first start, and password resets from the command line.

use std::collections::BTreeSet;

use mass_domain::access::{Actor, Forbidden, Permission, Principal, Role};
use mass_domain::audit::{Act, Action, CREDENTIALS, NewEvent, Object};
use mass_domain::ids::UserId;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Lifecycle, Tenant, TenantId};
use mass_domain::trace::Origin;
use mass_domain::users::{Email, User};
use secrecy::SecretString;

use crate::new_password::NewPassword;
use crate::passwords::from_passwords_error;
use crate::store::{Account, PasswordHash};
use crate::{AuthService, uuid_v7};

/// The first administrator, just created.
#[derive(Debug)]
pub struct Bootstrapped {
    /// Its e-mail address.
    pub email: Email,
    /// The generated password, if none was given. It is shown once and stored nowhere else.
    pub generated_password: Option<SecretString>,
}

/// The reasons for which the first tenant and administrator are not created.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The tenant's name is reserved for MASS.
    #[error("the tenant name \"{}\" is reserved", TenantId::SYSTEM)]
    ReservedTenant,
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(BootstrapError);

/// The reasons for which a password is not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetPasswordError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's tenant has no user with this address.
    #[error("there is no such user")]
    NoSuchUser,
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(ResetPasswordError);

impl AuthService {
    /// Returns true if there is no account yet, so that [`bootstrap`](Self::bootstrap) creates one.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn is_empty(&self) -> Result<bool, PortError> {
        self.users.is_empty().await
    }

    /// Creates the first tenant with its administrator, and generates a password unless one is given. Returns `None`
    /// after one read if an account exists already.
    ///
    /// # Errors
    /// [`BootstrapError`].
    pub async fn bootstrap(
        &self,
        tenant: TenantId,
        email: Email,
        password: Option<NewPassword>,
        origin: &Origin,
    ) -> Result<Option<Bootstrapped>, BootstrapError> {
        if tenant.as_str() == TenantId::SYSTEM {
            return Err(BootstrapError::ReservedTenant);
        }
        if !self.is_empty().await? {
            return Ok(None);
        }
        let (password, generated_password) = match password {
            Some(password) => (password, None),
            None => {
                let password = NewPassword::generate();
                (password.clone(), Some(password.secret().clone()))
            }
        };
        let password = self.passwords.hash(&password).await?;
        let now = self.clock.now();
        let roles = BTreeSet::from([Role::Admin, Role::Operator, Role::PlatformAdmin]);
        let id = UserId::from_uuid(uuid_v7(now));
        let (tenant_id, created_at) = (tenant.clone(), now);
        let user = User {
            id,
            tenant_id,
            email: email.clone(),
            roles,
            disabled_at: None,
            deleted_at: None,
            second_factor_at: None,
            created_at,
        };
        let tenant = Tenant { id: tenant, created_at: now, lifecycle: Lifecycle::default() };
        let act = Act::new(Actor::System, now, origin);
        let events = vec![
            act.done(&tenant.id, Action::TenantCreated, Object::Tenant(tenant.id.clone())),
            created_user(&act, &user, &password),
        ];
        let done = self.users.bootstrap(tenant, Account { user, password }, events).await?;
        Ok(done.then_some(Bootstrapped { email, generated_password }))
    }

    /// Sets a new password for a user of the caller's tenant, and ends all of the user's sessions.
    ///
    /// # Errors
    /// [`ResetPasswordError`].
    pub async fn reset_password(
        &self,
        principal: &Principal,
        email: &Email,
        password: &NewPassword,
        origin: &Origin,
    ) -> Result<(), ResetPasswordError> {
        principal.require(Permission::UsersManage)?;
        let account = self.users.find_by_email(email).await?;
        let user = account.map(|account| account.user).filter(|user| user.tenant_id == *principal.tenant());
        let user = user.ok_or(ResetPasswordError::NoSuchUser)?;
        principal.require_authority_over(&user.roles)?;
        let hash = self.passwords.hash(password).await?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.done(&user.tenant_id, Action::PasswordReset, Object::User(user.id));
        let event = event.with(CREDENTIALS, hash.digest().to_string());
        if self.users.set_password(&user.tenant_id, user.id, hash, event).await? {
            Ok(())
        } else {
            Err(ResetPasswordError::NoSuchUser)
        }
    }
}

/// Builds the audit event of a user's creation: with the roles and the digest of the password hash, but without the
/// e-mail address, because the log cannot forget personal data.
#[must_use]
pub fn created_user(act: &Act, user: &User, password: &PasswordHash) -> NewEvent {
    let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
    act.done(&user.tenant_id, Action::UserCreated, Object::User(user.id))
        .with("roles", roles)
        .with(CREDENTIALS, password.digest().to_string())
}

//! Making accounts and giving them passwords: at the first start and from the command line.

use std::collections::BTreeSet;

use mass_domain::access::{Forbidden, Permission, Principal, Role};
use mass_domain::ids::UserId;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use secrecy::SecretString;

use crate::new_password::NewPassword;
use crate::passwords::PasswordsError;
use crate::store::{Account, CreateAccountError, PasswordHash};
use crate::{AuthService, uuid_v7};

/// The first administrator, just created.
#[derive(Debug)]
pub struct Founded {
    /// Its address.
    pub email: Email,
    /// Its password if that was made up: to be shown once, for it is nowhere else.
    pub generated_password: Option<SecretString>,
}

/// Why the first tenant and administrator are not created.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The tenant's name is MASS's own.
    #[error("the tenant \"{}\" is MASS's own", TenantId::SYSTEM)]
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

/// A user to be created, in the caller's tenant.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Its address.
    pub email: Email,
    /// Its first password.
    pub password: NewPassword,
    /// What it may do.
    pub roles: BTreeSet<Role>,
}

/// Why a user is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A user with this address exists, in whatever tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// There is no such tenant, or nobody can log in to it.
    #[error("there is no such tenant")]
    NoSuchTenant,
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

/// Why a password is not reset.
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

macro_rules! from_passwords_error {
    ($($error:ident),*) => {$(
        impl From<PasswordsError> for $error {
            fn from(error: PasswordsError) -> Self {
                match error {
                    PasswordsError::Busy => Self::Busy,
                    PasswordsError::Unexpected(cause) => Self::Unexpected(cause),
                }
            }
        }
    )*};
}
from_passwords_error!(FoundError, CreateUserError, ResetPasswordError);

impl From<CreateAccountError> for CreateUserError {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::EmailTaken => Self::EmailTaken,
            CreateAccountError::NoSuchTenant => Self::NoSuchTenant,
            CreateAccountError::Store(error) => Self::Store(error),
        }
    }
}

impl AuthService {
    /// Whether there is no account yet: the state in which [`found`](Self::found) does something.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn is_empty(&self) -> Result<bool, PortError> {
        self.users.is_empty().await
    }

    /// Creates the first tenant with its administrator, whose password is made up unless one is given. `None`, at the
    /// price of one look, if there is an account already.
    ///
    /// # Errors
    /// [`FoundError`].
    pub async fn found(
        &self,
        tenant: TenantId,
        email: Email,
        password: Option<NewPassword>,
    ) -> Result<Option<Founded>, FoundError> {
        if tenant.as_str() == TenantId::SYSTEM {
            return Err(FoundError::ReservedTenant);
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
        let account = account(tenant.clone(), email.clone(), roles, password, now);
        let done = self.users.found(Tenant { id: tenant, created_at: now }, account).await?;
        Ok(done.then_some(Founded { email, generated_password }))
    }

    /// Creates a user in the caller's tenant and gives its id.
    ///
    /// # Errors
    /// [`CreateUserError`].
    pub async fn create_user(&self, principal: &Principal, new: NewUser) -> Result<UserId, CreateUserError> {
        require_power_over(principal, &new.roles)?;
        let tenant = principal.tenant().clone();
        if tenant.as_str() == TenantId::SYSTEM {
            return Err(CreateUserError::NoSuchTenant);
        }
        let password = self.passwords.hash(&new.password).await?;
        let account = account(tenant, new.email, new.roles, password, self.clock.now());
        let id = account.user.id;
        self.users.create(account).await?;
        Ok(id)
    }

    /// Gives a user of the caller's tenant another password.
    ///
    /// # Errors
    /// [`ResetPasswordError`].
    pub async fn reset_password(
        &self,
        principal: &Principal,
        email: &Email,
        password: &NewPassword,
    ) -> Result<(), ResetPasswordError> {
        principal.require(Permission::UsersManage)?;
        let account = self.users.find_by_email(email).await?;
        let user = account.map(|account| account.user).filter(|user| user.tenant_id == *principal.tenant());
        let user = user.ok_or(ResetPasswordError::NoSuchUser)?;
        require_power_over(principal, &user.roles)?;
        let hash = self.passwords.hash(password).await?;
        if self.users.set_password(&user.tenant_id, user.id, hash, self.clock.now()).await? {
            Ok(())
        } else {
            Err(ResetPasswordError::NoSuchUser)
        }
    }
}

/// A tenant's administrator must not become, or take over, one of the whole platform.
fn require_power_over(principal: &Principal, roles: &BTreeSet<Role>) -> Result<(), Forbidden> {
    principal.require(Permission::UsersManage)?;
    if roles.contains(&Role::PlatformAdmin) { principal.require(Permission::TenantsManage) } else { Ok(()) }
}

fn account(
    tenant_id: TenantId,
    email: Email,
    roles: BTreeSet<Role>,
    password: PasswordHash,
    created_at: Timestamp,
) -> Account {
    let id = UserId::from_uuid(uuid_v7(created_at));
    Account { user: User { id, tenant_id, email, roles, disabled_at: None, created_at }, password }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_manages_tenants_has_power_over_a_platform_administrator() {
        let tenant = TenantId::parse("default").unwrap();
        let email = Email::parse("a@example.test").unwrap();
        let user = |role| {
            Principal::user(UserId::from_uuid(uuid::Uuid::nil()), tenant.clone(), email.clone(), BTreeSet::from([role]))
        };
        let ordinary = BTreeSet::from([Role::Admin, Role::Operator]);
        let platform = BTreeSet::from([Role::Viewer, Role::PlatformAdmin]);
        assert_eq!(require_power_over(&user(Role::Admin), &ordinary), Ok(()));
        let refused = Err(Forbidden(Permission::TenantsManage));
        assert_eq!(require_power_over(&user(Role::Admin), &platform), refused);
        let refused = Err(Forbidden(Permission::UsersManage));
        assert_eq!(require_power_over(&user(Role::PlatformAdmin), &ordinary), refused);
        assert_eq!(require_power_over(&user(Role::Operator), &ordinary), refused);
        assert_eq!(require_power_over(&Principal::system(tenant.clone()), &platform), Ok(()));
    }
}

//! The port to whatever keeps users and their password hashes.

use std::fmt;

use async_trait::async_trait;
use mass_domain::ids::UserId;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};

/// A password's hash as it is stored: the scheme, the pepper's version and the bcrypt string. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash as it was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The hash as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user together with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Its password's hash.
    pub password: PasswordHash,
}

/// Why an account is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateAccountError {
    /// A user with this address exists, in whatever tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoSuchTenant,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Keeps tenants and user accounts. Each call is one unit of work.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Whether there is no account at all: the state in which [`found`](Self::found) does something.
    async fn is_empty(&self) -> Result<bool, PortError>;

    /// Creates the first tenant and its first account, unless there is an account already; tells whether it did. Of
    /// several processes that start together, one does.
    async fn found(&self, tenant: Tenant, account: Account) -> Result<bool, PortError>;

    /// Finds an account by the address that somebody logs in with: the only look-up that knows no tenant yet.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError>;

    /// Finds a user.
    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError>;

    /// Creates an account.
    async fn create(&self, account: Account) -> Result<(), CreateAccountError>;

    /// Gives a user another password; `false` if there is no such user.
    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        at: Timestamp,
    ) -> Result<bool, PortError>;

    /// Stores a stronger hash of the password that a user has already, as long as `old` is still what is stored: a
    /// password that was changed meanwhile stays changed. This is no change of password and moves no date.
    async fn rehash_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
    ) -> Result<(), PortError>;
}

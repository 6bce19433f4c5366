//! The ports to whatever keeps users with their password hashes, and sessions.

use std::fmt;

use async_trait::async_trait;
use mass_domain::audit::{Act, NewEvent};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{SessionId, UserId};
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, Tenant, TenantId};
use mass_domain::users::{Email, User};

use crate::refresh_token::RefreshTokenHash;
use crate::session::Session;
use crate::versioned::Versioned;

/// A password's hash as it is stored: the scheme, the pepper's version and the bcrypt string. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash as it was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The digest of the hash, which an event tells of a changed password. It opens nothing, and tells nothing of the
    /// password: the hash has a random salt.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
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

/// Keeps tenants and user accounts. Each call is one unit of work, in which the events that it is given are recorded if
/// it does what they tell of.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Whether there is no account at all: the state in which [`found`](Self::found) does something.
    async fn is_empty(&self) -> Result<bool, PortError>;

    /// Creates the first tenant and its first account, unless there is an account already; tells whether it did. Of
    /// several processes that start together, one does.
    async fn found(&self, tenant: Tenant, account: Account, events: Vec<NewEvent>) -> Result<bool, PortError>;

    /// Finds an account by the address that somebody logs in with: the only look-up that knows no tenant yet.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError>;

    /// Gives a user another password and ends all its sessions; `false` if there is no such user.
    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        event: NewEvent,
    ) -> Result<bool, PortError>;

    /// Gives a user another password in place of the proved one, and ends its sessions but this one; `false`, and
    /// nothing is changed, if the proved one is no longer the user's.
    async fn change_password(&self, change: PasswordChange, event: NewEvent) -> Result<bool, PortError>;

    /// The present version of a tenant's credentials; none if there is no such tenant. Counts in the transaction of
    /// what changes them, whoever makes it: a change that was committed before this is called is counted.
    async fn credentials_version(&self, tenant: &TenantId) -> Result<Option<CredentialsVersion>, PortError>;
}

/// A user's change of its own password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The user's tenant.
    pub tenant_id: TenantId,
    /// The user.
    pub user_id: UserId,
    /// The session that goes on.
    pub session_id: SessionId,
    /// The hash that the user proved to know the password of.
    pub proved: PasswordHash,
    /// What takes its place.
    pub password: PasswordHash,
}

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The session.
    pub session: Session,
    /// Its first refresh token.
    pub refresh: RefreshTokenHash,
    /// The hash that the user proved to know the password of.
    pub proved: PasswordHash,
    /// A stronger hash of the same password, to be stored in its place. This is no change of password and moves no
    /// date.
    pub rehashed: Option<PasswordHash>,
}

/// What became of a session whose refresh token was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The token is spent, and another stands in its place.
    Rotated(Session),
    /// It had been spent before: the session is over.
    Revoked(SessionId),
    /// It leads to no session that can go on.
    Refused,
}

/// Keeps sessions with their refresh tokens. Each call is one unit of work, in which the event that it is given is
/// recorded if it does what that tells of.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session; `false`, and nothing is opened, if the proved password is no longer the user's. So whoever
    /// changes a password and ends the sessions misses none that was being opened with the old one.
    async fn open(&self, opening: Opening, event: NewEvent) -> Result<bool, PortError>;

    /// Finds a session and its user, in one look.
    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<(Session, User)>>, PortError>;

    /// Does what [`judge_refresh`](crate::judge_refresh) says with the session of a refresh token. Of those who present
    /// a token of one session at once, one after the other is judged. The event is [`Session::revoked_by`] the act.
    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        act: Act,
    ) -> Result<Refreshed, PortError>;

    /// Ends a session, if it is there and has not ended yet.
    async fn revoke(&self, tenant: &TenantId, id: SessionId, event: NewEvent) -> Result<(), PortError>;
}

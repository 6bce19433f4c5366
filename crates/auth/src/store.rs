//! The ports to stored users, password hashes and sessions.

use std::fmt;

use async_trait::async_trait;
use mass_domain::audit::{Act, NewEvent};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{SessionId, UserId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::second_factor::SecondFactor;
use mass_domain::tenancy::{CredentialsVersion, Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};

use crate::factor_codes::FactorProof;
use crate::refresh_token::RefreshTokenHash;
use crate::session::Session;
use crate::versioned::Versioned;

/// A stored password hash: the scheme, the id of the pepper and the bcrypt string. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a stored hash.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the digest of the hash that audit events carry. It reveals nothing about the password, because the hash
    /// has a random salt.
    #[must_use]
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// Returns the hash for storage.
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

/// A user with the hash of its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// The hash of its password.
    pub password: PasswordHash,
}

/// Port to stored tenants and user accounts. Each call is one transaction, and appends the given events if it makes the
/// change.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Returns true if there is no account, so that [`bootstrap`](Self::bootstrap) creates one.
    async fn is_empty(&self) -> Result<bool, PortError>;

    /// Creates the first tenant and its first account, and returns true, unless an account exists. Of several processes
    /// that start together, exactly one succeeds.
    async fn bootstrap(&self, tenant: Tenant, account: Account, events: Vec<NewEvent>) -> Result<bool, PortError>;

    /// Finds an account by its log-in address. This look-up knows no tenant yet.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError>;

    /// Sets a user's password and ends all its sessions; `false` if there is no such user.
    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        event: NewEvent,
    ) -> Result<bool, PortError>;

    /// Replaces the proved password hash, and ends the user's other sessions. Changes nothing and returns `false` if
    /// the proved hash is no longer the stored one.
    async fn change_password(&self, change: PasswordChange, event: NewEvent) -> Result<bool, PortError>;

    /// Returns the credentials version of a tenant; `None` if there is no such tenant. Every change of credentials
    /// increments it in its own transaction, so that a change committed before this call is visible.
    async fn credentials_version(&self, tenant: &TenantId) -> Result<Option<CredentialsVersion>, PortError>;
}

/// A user's change of its own password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordChange {
    /// The user's tenant.
    pub tenant_id: TenantId,
    /// The user.
    pub user_id: UserId,
    /// The session that stays open.
    pub session_id: SessionId,
    /// The stored hash that the current password was verified against.
    pub proved: PasswordHash,
    /// The hash of the new password.
    pub password: PasswordHash,
}

/// A session to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// Its first refresh token.
    pub refresh: RefreshTokenHash,
    /// The stored hash that the password was verified against.
    pub proved: PasswordHash,
    /// A stronger hash of the same password, which replaces the stored one. It does not count as a change of password.
    pub rehashed: Option<PasswordHash>,
    /// The proof of the user's second factor; `None` if the user has none.
    pub factor: Option<FactorProof>,
}

/// A session, as it is found with its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// The session.
    pub session: Session,
    /// Its user.
    pub user: User,
    /// True if the user's tenant demands a second factor of those who administer it.
    pub demands_factor: bool,
}

impl FoundSession {
    /// Returns the user's second factor in this session.
    #[must_use]
    pub fn factor(&self) -> SecondFactor {
        SecondFactor {
            is_demanded: self.demands_factor && self.user.roles.iter().any(|role| role.administers()),
            is_enrolled: self.user.second_factor_at.is_some(),
            proved_at: self.session.factor_at,
        }
    }
}

/// The result of opening a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Open,
    /// The proved hash is no longer the stored one, or the proof of the second factor is good no more.
    Stale,
    /// The tenant is suspended.
    Suspended,
}

/// The result of presenting a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The token is spent, and the next one is stored.
    Rotated(Session),
    /// The token had been spent before, and the session is revoked.
    Revoked(SessionId),
    /// No live session has this token.
    Refused,
    /// The tenant is suspended. The token stays good.
    Suspended,
}

/// Port to stored sessions and refresh tokens. Each call is one transaction, and appends the given event if it makes
/// the change.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session, and takes the proof of the second factor. Opens none if the proved hash is no longer the stored one,
    /// so that a change of password also ends sessions that were being opened with the old one; if the proof was taken
    /// before, or there is none although the user has a second factor by now; or if the tenant is suspended.
    async fn open(&self, opening: NewSession, event: NewEvent) -> Result<Opened, PortError>;

    /// Finds a session and its user in one snapshot.
    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<FoundSession>>, PortError>;

    /// Applies [`judge_refresh`](crate::judge_refresh) to the session of a refresh token. Concurrent calls for one
    /// session are serialised. A revocation appends [`Session::revoked_by`] for the act.
    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        act: Act,
    ) -> Result<Refreshed, PortError>;

    /// Lists the live sessions of a user, or of all users of the tenant, with ids below `before`, newest (greatest id) first:
    /// at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        user: Option<UserId>,
        before: Option<SessionId>,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Vec<Session>, PortError>;

    /// Ends a session, unless it does not exist or has ended already.
    async fn revoke(&self, tenant: &TenantId, id: SessionId, event: NewEvent) -> Result<(), PortError>;
}

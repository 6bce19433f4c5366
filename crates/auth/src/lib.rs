//! Authentication: passwords, sessions, tokens, API keys, and the use cases of logging in and authenticating requests.
//!
//! Belongs here: checking and issuing credentials, and the ports to accounts, sessions and log-in attempts. Does not
//! belong here: permissions (`mass_domain::access`), HTTP headers, SQL.

mod accounts;
mod api_keys;
mod attempt_queue;
mod authenticate;
mod cache;
mod change_password;
mod common_passwords;
mod confirmations;
#[cfg(test)]
mod double;
mod ed25519;
mod factor_codes;
mod fingerprint;
mod hasher;
mod login;
mod new_password;
mod passwords;
mod refresh_token;
mod sealing;
mod second_factor;
mod session;
mod sessions;
mod store;
mod stored_key;
mod throttle;
mod tokens;
mod version_reads;
mod versioned;

use std::sync::Arc;

use mass_domain::api_keys::KeyPrefix;
use mass_domain::ids::{ApiKeyId, SessionId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use uuid::{NoContext, Uuid};

use attempt_queue::AttemptQueue;
use authenticate::CachedSession;
use cache::BoundedCache;
use version_reads::VersionReads;

pub use accounts::{BootstrapError, Bootstrapped, ResetPasswordError, created_user};
pub use authenticate::{AuthenticateError, CachedPrincipal, RefusedCredential};
pub use change_password::ChangePasswordError;
pub use confirmations::{ConfirmationToken, Extent, RefusedConfirmation};
pub use factor_codes::FactorProof;
pub use hasher::{Cost, InvalidCost, NO_PEPPER, Pepper, ShortPepper, UnreadableHash, Verification, pepper_of};
pub use login::LoginError;
pub use new_password::{NewPassword, WeakPassword};
pub use passwords::{Capacity, Passwords, PasswordsError};
pub use refresh_token::RefreshTokenHash;
pub use second_factor::{FactorError, FactorStatus, FactorStore, NewSeed, ProvedFactor, StoredFactor};
pub use session::{RefreshVerdict, Session, judge_refresh};
pub use sessions::{LoggedIn, RefreshError, SessionError};
pub use store::{
    Account, FoundSession, NewSession, Opened, PasswordChange, PasswordHash, Refreshed, SessionStore, UserStore,
};
pub use stored_key::{ApiKeyStore, RefusedApiKey, StoredKey};
pub use throttle::{AttemptKeys, AttemptStore, Counter, Counters, ThrottleScope, Throttled, network_of};
pub use tokens::{
    AccessTokens, InvalidLifetime, InvalidSigningKey, PublicKey, RefusedToken, SigningKey, SigningKeys, TokenAlgorithm,
    TokenLifetime, TokenSubject, UnknownTokenAlgorithm,
};
pub use versioned::Versioned;

/// The ports that the use cases depend on.
#[derive(Clone)]
pub struct AuthStores {
    /// Tenants and accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions and their refresh tokens.
    pub sessions: Arc<dyn SessionStore>,
    /// Counters of log-in attempts.
    pub attempts: Arc<dyn AttemptStore>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyStore>,
    /// Second factors.
    pub factors: Arc<dyn FactorStore>,
}

/// The use cases on accounts and their credentials.
pub struct AuthService {
    users: Arc<dyn UserStore>,
    sessions: Arc<dyn SessionStore>,
    attempts: Arc<dyn AttemptStore>,
    api_keys: Arc<dyn ApiKeyStore>,
    factors: Arc<dyn FactorStore>,
    passwords: Passwords,
    queue: AttemptQueue,
    tokens: AccessTokens,
    clock: Arc<dyn Clock>,
    versions: Arc<VersionReads>,
    cached_sessions: BoundedCache<(TenantId, SessionId), Arc<Versioned<CachedSession>>>,
    cached_keys: BoundedCache<KeyPrefix, Arc<Versioned<StoredKey>>>,
    /// The last use of each key that this server has recorded.
    recorded_uses: BoundedCache<ApiKeyId, Timestamp>,
}

impl AuthService {
    /// Creates the service on top of its stores.
    #[must_use]
    pub fn new(stores: AuthStores, passwords: Passwords, tokens: AccessTokens, clock: Arc<dyn Clock>) -> Self {
        let AuthStores { users, sessions, attempts, api_keys, factors } = stores;
        Self {
            versions: VersionReads::new(Arc::clone(&users)),
            cached_sessions: BoundedCache::default(),
            cached_keys: BoundedCache::default(),
            recorded_uses: BoundedCache::default(),
            queue: AttemptQueue::default(),
            users,
            sessions,
            attempts,
            api_keys,
            factors,
            passwords,
            tokens,
            clock,
        }
    }

    /// Returns the public keys with which others can verify access tokens.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.tokens.public_keys()
    }
}

/// Generates a UUID of version 7 from the instant.
fn uuid_v7(at: Timestamp) -> Uuid {
    Uuid::new_v7(at.for_uuid(NoContext))
}

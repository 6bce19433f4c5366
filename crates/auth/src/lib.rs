//! Who is asking: passwords, sessions, tokens, and the use cases of logging in and being recognised.
//!
//! Belongs here: how a credential is proved, issued and checked, and the ports to accounts, sessions and attempts.
//! Does not belong here: what a recognised caller may do (`mass_domain::access`), HTTP headers, SQL.

mod accounts;
mod api_keys;
mod authenticate;
mod change_password;
mod common_passwords;
#[cfg(test)]
mod double;
mod ed25519;
mod fingerprint;
mod hasher;
mod line;
mod login;
mod new_password;
mod passwords;
mod recognised;
mod refresh_token;
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

use authenticate::KnownSession;
use line::Line;
use recognised::Recognised;
use version_reads::VersionReads;

pub use accounts::{FoundError, Founded, ResetPasswordError, created_user};
pub use authenticate::{AuthenticateError, RefusedCredential, Remembered};
pub use change_password::ChangePasswordError;
pub use hasher::{Cost, InvalidCost, Pepper, ShortPepper, UnreadableHash, Verification};
pub use login::LoginError;
pub use new_password::{NewPassword, WeakPassword};
pub use passwords::{Capacity, Passwords, PasswordsError};
pub use refresh_token::RefreshTokenHash;
pub use session::{RefreshVerdict, Session, judge_refresh};
pub use sessions::{LoggedIn, RefreshError};
pub use store::{Account, Opening, PasswordChange, PasswordHash, Refreshed, SessionStore, UserStore};
pub use stored_key::{ApiKeyStore, RefusedApiKey, StoredKey};
pub use throttle::{AttemptKeys, AttemptStore, Counter, Counters, ThrottleScope, Throttled, network_of};
pub use tokens::{
    AccessTokens, InvalidLifetime, InvalidSigningKey, PublicKey, RefusedToken, SigningKey, SigningKeys, TokenAlgorithm,
    TokenLifetime, TokenSubject, UnknownTokenAlgorithm,
};
pub use versioned::Versioned;

/// The ports that the use cases stand on.
#[derive(Clone)]
pub struct AuthStores {
    /// Tenants and accounts.
    pub users: Arc<dyn UserStore>,
    /// Sessions and their refresh tokens.
    pub sessions: Arc<dyn SessionStore>,
    /// Attempts to prove a password.
    pub attempts: Arc<dyn AttemptStore>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyStore>,
}

/// The use cases on accounts and their credentials.
pub struct AuthService {
    users: Arc<dyn UserStore>,
    sessions: Arc<dyn SessionStore>,
    attempts: Arc<dyn AttemptStore>,
    api_keys: Arc<dyn ApiKeyStore>,
    passwords: Passwords,
    line: Line,
    tokens: AccessTokens,
    clock: Arc<dyn Clock>,
    versions: Arc<VersionReads>,
    known_sessions: Recognised<(TenantId, SessionId), Arc<Versioned<KnownSession>>>,
    known_keys: Recognised<KeyPrefix, Arc<Versioned<StoredKey>>>,
    /// When this server told the store last that a key was used.
    marked_uses: Recognised<ApiKeyId, Timestamp>,
}

impl AuthService {
    /// Puts the use cases on top of stores.
    #[must_use]
    pub fn new(stores: AuthStores, passwords: Passwords, tokens: AccessTokens, clock: Arc<dyn Clock>) -> Self {
        let AuthStores { users, sessions, attempts, api_keys } = stores;
        Self {
            versions: VersionReads::new(Arc::clone(&users)),
            known_sessions: Recognised::default(),
            known_keys: Recognised::default(),
            marked_uses: Recognised::default(),
            line: Line::default(),
            users,
            sessions,
            attempts,
            api_keys,
            passwords,
            tokens,
            clock,
        }
    }

    /// The keys with which others can verify access tokens.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.tokens.public_keys()
    }
}

/// A new UUID of version 7 that carries the instant.
fn uuid_v7(at: Timestamp) -> Uuid {
    Uuid::new_v7(at.for_uuid(NoContext))
}

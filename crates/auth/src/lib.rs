//! Who is asking: passwords, access tokens, and the use cases of logging in and being recognised.
//!
//! Belongs here: how a credential is proved, issued and checked, and the port to the accounts.
//! Does not belong here: what a recognised caller may do (`mass_domain::access`), HTTP headers, SQL.

mod accounts;
mod authenticate;
mod fingerprint;
mod hasher;
mod login;
mod new_password;
mod passwords;
mod store;
mod tokens;

use std::sync::Arc;

use mass_domain::time::{Clock, Timestamp};
use uuid::{NoContext, Uuid};

pub use accounts::{CreateUserError, FoundError, Founded, NewUser, ResetPasswordError};
pub use authenticate::AuthenticateError;
pub use hasher::{Cost, InvalidCost, Pepper, ShortPepper, UnreadableHash, Verification};
pub use login::{LoggedIn, LoginError};
pub use new_password::{NewPassword, WeakPassword};
pub use passwords::{Capacity, Passwords, PasswordsError};
pub use store::{Account, CreateAccountError, PasswordHash, UserStore};
pub use tokens::{
    AccessTokens, InvalidLifetime, RefusedToken, ShortSigningKey, SigningKey, SigningKeys, TokenLifetime, TokenSubject,
};

/// The use cases on accounts and their credentials.
pub struct AuthService {
    users: Arc<dyn UserStore>,
    passwords: Passwords,
    tokens: AccessTokens,
    clock: Arc<dyn Clock>,
}

impl AuthService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(users: Arc<dyn UserStore>, passwords: Passwords, tokens: AccessTokens, clock: Arc<dyn Clock>) -> Self {
        Self { users, passwords, tokens, clock }
    }
}

/// A new UUID of version 7 that carries the instant.
fn uuid_v7(at: Timestamp) -> Uuid {
    let (seconds, nanos) = at.unix_seconds_and_nanos();
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}

//! Logging in with an address and a password.

use mass_domain::port::PortError;
use mass_domain::users::{Email, User};
use secrecy::SecretString;

use crate::AuthService;
use crate::hasher::Verification;
use crate::passwords::PasswordsError;
use crate::store::{Account, PasswordHash};
use crate::tokens::TokenSubject;

/// What somebody gets who logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The bearer token of the requests to come.
    pub access_token: SecretString,
    /// For how long it is good.
    pub expires_in_seconds: u64,
}

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No user who may log in has this address and password. Deliberately no more than that.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Too many are logging in; trying again later helps.
    #[error("too many log-ins at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl From<PasswordsError> for LoginError {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::Busy,
            PasswordsError::Unexpected(cause) => Self::Unexpected(cause),
        }
    }
}

impl AuthService {
    /// Logs a user in. An unknown or malformed address, a wrong password and a disabled user get the same answer after
    /// the same time.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(&self, email: &str, password: &SecretString) -> Result<LoggedIn, LoginError> {
        let account = match Email::parse(email) {
            Ok(email) => self.users.find_by_email(&email).await?,
            Err(_) => None,
        };
        let verification = self.passwords.verify(password, account.as_ref().map(|account| &account.password)).await?;
        let Some(Account { user, password: stored }) = account else {
            return Err(LoginError::InvalidCredentials);
        };
        match verification {
            Verification::Match { rehashed } if user.disabled_at.is_none() => {
                if let Some(rehashed) = rehashed {
                    self.store_rehashed(&user, &stored, rehashed).await;
                }
                self.log_in(user)
            }
            Verification::Match { .. } | Verification::Mismatch => Err(LoginError::InvalidCredentials),
            Verification::Unreadable(reason) => {
                tracing::warn!(user.id = %user.id, %reason, "a user cannot log in until the password is reset");
                Err(LoginError::InvalidCredentials)
            }
        }
    }

    fn log_in(&self, user: User) -> Result<LoggedIn, LoginError> {
        let subject = TokenSubject { user_id: user.id, tenant_id: user.tenant_id };
        let access_token = self.tokens.issue(&subject, self.clock.now())?;
        Ok(LoggedIn { access_token, expires_in_seconds: self.tokens.lifetime().seconds().into() })
    }

    /// A failure costs nothing but another try at the next login, so it does not stop this one.
    async fn store_rehashed(&self, user: &User, old: &PasswordHash, new: PasswordHash) {
        if let Err(error) = self.users.rehash_password(&user.tenant_id, user.id, old, new).await {
            tracing::warn!(user.id = %user.id, error = &error as &dyn std::error::Error, "a password was not rehashed");
        }
    }
}

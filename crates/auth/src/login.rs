//! Logging in with an address and a password.

use std::net::IpAddr;

use mass_domain::ids::SessionId;
use mass_domain::port::PortError;
use mass_domain::users::Email;
use secrecy::SecretString;

use crate::hasher::Verification;
use crate::passwords::from_passwords_error;
use crate::refresh_token::RefreshToken;
use crate::sessions::{LoggedIn, Session};
use crate::store::{Account, Opening};
use crate::throttle::{AttemptKeys, Throttled};
use crate::{AuthService, uuid_v7};

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No user who may log in has this address and password. Deliberately no more than that.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Too many attempts failed before; trying again after a while helps.
    #[error(transparent)]
    Throttled(#[from] Throttled),
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
from_passwords_error!(LoginError);

impl AuthService {
    /// Logs a user in from an address and opens a session. An unknown or malformed e-mail address, a wrong password and
    /// a disabled user get the same answer after the same time, and are throttled alike.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(
        &self,
        email: &str,
        password: &SecretString,
        address: Option<IpAddr>,
    ) -> Result<LoggedIn, LoginError> {
        let keys = AttemptKeys::new(email, address);
        // First: an attempt that nobody has the time to judge must not count as failed.
        let place = self.passwords.place()?;
        self.attempts.begin(&keys, self.clock.now()).await??;
        let account = match Email::parse(email) {
            Ok(email) => self.users.find_by_email(&email).await?,
            Err(_) => None,
        };
        let stored = account.as_ref().map(|account| &account.password);
        let verification = self.passwords.verify(place, password, stored).await?;
        let Some(account) = account else {
            return Err(LoginError::InvalidCredentials);
        };
        match verification {
            Verification::Match { rehashed } if account.user.disabled_at.is_none() => {
                let now = self.clock.now();
                let session = Session::begin(SessionId::from_uuid(uuid_v7(now)), &account.user, now);
                let refresh = RefreshToken::generate(&session.tenant_id);
                let Account { user: _, password: proved } = account;
                let opening = Opening { session: session.clone(), refresh: refresh.hash(), proved, rehashed };
                if !self.sessions.open(opening).await? {
                    return Err(LoginError::InvalidCredentials);
                }
                self.remember_success(&keys).await;
                Ok(self.tokens_of(&session, &refresh)?)
            }
            Verification::Match { .. } | Verification::Mismatch => Err(LoginError::InvalidCredentials),
            Verification::Unreadable(reason) => {
                tracing::warn!(user.id = %account.user.id, %reason, "a user cannot log in until the password is reset");
                Err(LoginError::InvalidCredentials)
            }
        }
    }

    /// A failure makes at worst the next attempt wait, so it does not stop this one.
    pub(crate) async fn remember_success(&self, keys: &AttemptKeys) {
        if let Err(error) = self.attempts.succeed(keys, self.clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a successful attempt still counts as failed");
        }
    }
}

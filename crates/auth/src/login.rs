//! Log-in with an e-mail address and a password.

use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, CREDENTIALS, NewEvent, Object};
use mass_domain::ids::SessionId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;
use mass_domain::users::{Email, InvalidEmail, User};
use secrecy::SecretString;

use crate::hasher::Verification;
use crate::passwords::from_passwords_error;
use crate::refresh_token::RefreshToken;
use crate::session::Session;
use crate::sessions::LoggedIn;
use crate::store::{Account, NewSession, PasswordHash};
use crate::throttle::{AttemptKeys, Throttled};
use crate::{AuthService, uuid_v7};

/// The reasons for which a log-in fails.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No enabled user has this address and password. Deliberately no more precise than that.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Too many attempts failed before; trying again after a while helps.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many concurrent log-ins; trying again later helps.
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
    /// Logs a user in and opens a session. An unknown or malformed e-mail address, a wrong password and a disabled user
    /// get the same answer after the same work, and are throttled and recorded alike.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(&self, email: &str, password: &SecretString, origin: &Origin) -> Result<LoggedIn, LoginError> {
        let keys = AttemptKeys::new(email, origin.address);
        let (place, _permits) = self.begin_attempt::<LoginError>(&keys).await?;
        let email = Email::parse_existing(email);
        let account = match &email {
            Ok(email) => self.users.find_by_email(email).await?,
            Err(_) => None,
        };
        let stored = account.as_ref().map(|account| &account.password);
        let verification = self.passwords.verify(place, password, stored).await?;
        let Some(account) = account else {
            return self.refuse(unknown(&self.stranger(origin), email)).await;
        };
        let refused = |reason: &str| refused(&self.stranger(origin), &account.user, reason);
        match verification {
            Verification::Match { rehashed } if account.user.disabled_at.is_none() => {
                let event = refused("password_changed_meanwhile");
                match self.open_session(account, rehashed, origin).await? {
                    Some(logged_in) => {
                        self.remember_success(&keys).await;
                        Ok(logged_in)
                    }
                    None => self.refuse(event).await,
                }
            }
            Verification::Match { .. } => self.refuse(refused("disabled")).await,
            Verification::Mismatch => self.refuse(refused("wrong_password")).await,
            Verification::Unreadable(reason) => {
                tracing::warn!(user.id = %account.user.id, %reason, "a user cannot log in until the password is reset");
                self.refuse(refused("unreadable_hash")).await
            }
        }
    }

    /// Opens a session for a user whose password was verified. Returns `None` if the password has been changed
    /// meanwhile.
    async fn open_session(
        &self,
        account: Account,
        rehashed: Option<PasswordHash>,
        origin: &Origin,
    ) -> Result<Option<LoggedIn>, LoginError> {
        let now = self.clock.now();
        let Account { user, password: proved } = account;
        let session = Session::begin(SessionId::from_uuid(uuid_v7(now)), &user, now);
        let refresh = RefreshToken::generate(&session.tenant_id);
        let credentials = rehashed.as_ref().map(|hash| hash.digest().to_string());
        let opening = NewSession { session: session.clone(), refresh: refresh.hash(), proved, rehashed };
        let act = Act::new(Actor::User(user.id), now, origin);
        let event = act.done(&session.tenant_id, Action::LoggedIn, Object::Session(session.id));
        let event = match credentials {
            Some(credentials) => event.with(CREDENTIALS, credentials),
            None => event,
        };
        let opened = self.sessions.open(opening, event).await?;
        Ok(if opened { Some(self.tokens_of(&session, &refresh)?) } else { None })
    }

    /// Records a failed attempt, and returns the error for it.
    async fn refuse(&self, event: NewEvent) -> Result<LoggedIn, LoginError> {
        self.attempts.fail(event).await?;
        Err(LoginError::InvalidCredentials)
    }

    /// Builds the audit context of a caller that is not authenticated.
    pub(crate) fn stranger(&self, origin: &Origin) -> Act {
        Act::new(Actor::Anonymous, self.clock.now(), origin)
    }

    /// Records a successful attempt. If that fails, only the next attempt may have to wait, so that the log-in goes on.
    pub(crate) async fn remember_success(&self, keys: &AttemptKeys) {
        if let Err(error) = self.attempts.succeed(keys, self.clock.now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a successful attempt still counts as failed");
        }
    }
}

/// Builds the event of a failed attempt on an existing user, for the log of the user's tenant.
fn refused(act: &Act, user: &User, reason: &str) -> NewEvent {
    act.refused(&user.tenant_id, Action::LoggedIn, Object::User(user.id)).with("reason", reason)
}

/// Builds the event of a failed attempt on an unknown address, for the log of the system tenant. A malformed address is
/// not recorded, because people type their password there by mistake.
fn unknown(act: &Act, email: Result<Email, InvalidEmail>) -> NewEvent {
    let event = act.refused(&TenantId::system(), Action::LoggedIn, Object::Server);
    match email {
        Ok(email) => event.with("reason", "unknown_address").with("email", email.as_str()),
        Err(_) => event.with("reason", "malformed_address"),
    }
}

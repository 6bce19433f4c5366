//! Log-in with an e-mail address and a password.

use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, CREDENTIALS, NewEvent, Object};
use mass_domain::ids::SessionId;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Suspended, TenantId};
use mass_domain::trace::Origin;
use mass_domain::users::{Email, InvalidEmail, User};
use secrecy::SecretString;

use crate::factor_codes::FactorProof;
use crate::hasher::Verification;
use crate::passwords::from_passwords_error;
use crate::refresh_token::RefreshToken;
use crate::session::Session;
use crate::sessions::LoggedIn;
use crate::store::{Account, NewSession, Opened, PasswordHash};
use crate::throttle::{AttemptKeys, Throttled};
use crate::{AuthService, uuid_v7};

/// The reasons for which a log-in fails.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No enabled user has this address and password. Deliberately no more precise than that.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// The user has a second factor, and the code is missing, wrong, or was used before. The password is right.
    #[error("the code of the second factor is needed")]
    CodeNeeded {
        /// True if a code was given.
        is_given: bool,
    },
    /// Too many attempts failed before; trying again after a while helps.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many concurrent log-ins; trying again later helps.
    #[error("too many log-ins at the moment")]
    Busy,
    /// The password is right, and the tenant is suspended.
    #[error(transparent)]
    Suspended(#[from] Suspended),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(LoginError);

/// Whether the second factor of a user is proved.
enum Proved {
    /// The user has none.
    NotNeeded,
    /// By this code.
    By(FactorProof),
    /// The code is missing or wrong.
    No,
}

impl AuthService {
    /// Logs a user in and opens a session. An unknown or malformed e-mail address, a wrong password and a disabled user
    /// get the same answer after the same work, and are throttled and recorded alike. A user with a second factor also
    /// needs its code; until it is right, the attempt counts as failed.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn login(
        &self,
        email: &str,
        password: &SecretString,
        code: Option<&SecretString>,
        origin: &Origin,
    ) -> Result<LoggedIn, LoginError> {
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
                let (event, wrong_code) = (refused("password_changed_meanwhile"), refused("wrong_code"));
                let factor = match self.proof_of(&account.user, code).await? {
                    Proved::NotNeeded => None,
                    Proved::By(proof) => Some(proof),
                    Proved::No if code.is_none() => return Err(LoginError::CodeNeeded { is_given: false }),
                    Proved::No => {
                        self.attempts.fail(wrong_code).await?;
                        return Err(LoginError::CodeNeeded { is_given: true });
                    }
                };
                let opened = self.open_session(account, rehashed, factor, origin).await;
                if matches!(opened, Err(LoginError::Suspended(_))) {
                    self.remember_success(&keys).await;
                }
                match opened? {
                    Some(logged_in) => {
                        self.remember_success(&keys).await;
                        Ok(logged_in)
                    }
                    // A recovery code that is wrong or was used is found here.
                    None if factor.is_some() => {
                        self.attempts.fail(wrong_code).await?;
                        Err(LoginError::CodeNeeded { is_given: true })
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
        factor: Option<FactorProof>,
        origin: &Origin,
    ) -> Result<Option<LoggedIn>, LoginError> {
        let now = self.clock.now();
        let Account { user, password: proved } = account;
        let factor_at = factor.map(|_| now);
        let session = Session { factor_at, ..Session::begin(SessionId::from_uuid(uuid_v7(now)), &user, now) };
        let refresh = RefreshToken::generate(&session.tenant_id);
        let credentials = rehashed.as_ref().map(|hash| hash.digest().to_string());
        let opening = NewSession { session: session.clone(), refresh: refresh.hash(), proved, rehashed, factor };
        let act = Act::new(Actor::User(user.id), now, origin);
        let event = act.done(&session.tenant_id, Action::LoggedIn, Object::Session(session.id));
        let event = match credentials {
            Some(credentials) => event.with(CREDENTIALS, credentials),
            None => event,
        };
        let event = match factor {
            Some(factor) => event.with("second_factor", factor.kind()),
            None => event,
        };
        match self.sessions.open(opening, event).await? {
            Opened::Open => Ok(Some(self.tokens_of(&session, &refresh)?)),
            Opened::Stale => Ok(None),
            Opened::Suspended => Err(Suspended.into()),
        }
    }

    /// Judges the code of a user's second factor.
    async fn proof_of(&self, user: &User, code: Option<&SecretString>) -> Result<Proved, PortError> {
        if user.second_factor_at.is_none() {
            return Ok(Proved::NotNeeded);
        }
        let Some(code) = code else { return Ok(Proved::No) };
        let stored = self.factors.find(&user.tenant_id, user.id).await?.filter(|stored| stored.is_confirmed);
        let proof = stored.and_then(|stored| self.judge(&user.tenant_id, user.id, &stored, code));
        Ok(proof.map_or(Proved::No, Proved::By))
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

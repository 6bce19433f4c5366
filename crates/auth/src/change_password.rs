//! Change of one's own password.

use mass_domain::access::{Actor, Principal};
use mass_domain::audit::{Act, Action, CREDENTIALS, Object};
use mass_domain::ids::UserId;
use mass_domain::port::PortError;
use mass_domain::trace::Origin;
use secrecy::SecretString;

use crate::AuthService;
use crate::hasher::Verification;
use crate::new_password::{NewPassword, WeakPassword};
use crate::passwords::from_passwords_error;
use crate::store::PasswordChange;
use crate::throttle::{AttemptKeys, Throttled};

/// The reasons for which a password is not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The caller is an API key or MASS itself.
    #[error("only users have passwords")]
    NotAUser,
    /// The current password is wrong.
    #[error("the current password is wrong")]
    WrongPassword,
    /// The new password breaks a rule.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// Too many attempts failed before; trying again after a while helps.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(ChangePasswordError);

impl AuthService {
    /// Changes the caller's password, and ends all its sessions but the calling one. The current password is required
    /// because a token may have been stolen; attempts are throttled like log-ins.
    ///
    /// # Errors
    /// [`ChangePasswordError`].
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &SecretString,
        new: &SecretString,
        origin: &Origin,
    ) -> Result<(), ChangePasswordError> {
        let (Actor::User(user_id), Some(email), Some(session_id)) =
            (principal.actor(), principal.email(), principal.session())
        else {
            return Err(ChangePasswordError::NotAUser);
        };
        let new = NewPassword::parse(new, email)?;
        let keys = AttemptKeys::new(email.as_str(), origin.address);
        let (place, _permits) = self.begin_attempt::<ChangePasswordError>(&keys).await?;
        let account = self.users.find_by_email(email).await?.filter(|account| account.user.id == user_id);
        let stored = account.as_ref().map(|account| &account.password);
        let verification = self.passwords.verify(place, current, stored).await?;
        let (Some(account), Verification::Match { .. }) = (account, verification) else {
            return self.refuse_change(principal, user_id, origin).await;
        };
        self.remember_success(&keys).await;
        let password = self.passwords.hash(&new).await?;
        let credentials = password.digest().to_string();
        let change = PasswordChange {
            tenant_id: principal.tenant().clone(),
            user_id,
            session_id,
            proved: account.password,
            password,
        };
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.done(principal.tenant(), Action::PasswordChanged, Object::User(user_id));
        let event = event.with(CREDENTIALS, credentials);
        if self.users.change_password(change, event).await? {
            Ok(())
        } else {
            self.refuse_change(principal, user_id, origin).await
        }
    }

    /// Records a failed attempt, and returns the error for it.
    async fn refuse_change(
        &self,
        principal: &Principal,
        user_id: UserId,
        origin: &Origin,
    ) -> Result<(), ChangePasswordError> {
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.refused(principal.tenant(), Action::PasswordChanged, Object::User(user_id));
        self.attempts.fail(event.with("reason", "wrong_password")).await?;
        Err(ChangePasswordError::WrongPassword)
    }
}

//! Sessions: what begins with a login, lives on by refreshing and ends by logging out.

use mass_domain::access::Principal;
use mass_domain::audit::{Act, Action, Object};
use mass_domain::port::PortError;
use mass_domain::trace::Origin;
use secrecy::SecretString;

use crate::AuthService;
use crate::refresh_token::RefreshToken;
use crate::session::Session;
use crate::store::Refreshed;
use crate::tokens::TokenSubject;

/// What somebody holds who is logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The bearer token of the requests to come.
    pub access_token: SecretString,
    /// For how long it is good.
    pub expires_in_seconds: u64,
    /// Buys the next pair of tokens, once.
    pub refresh_token: SecretString,
}

/// Why a session is not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is no refresh token of a session that lives: made up, spent, expired or revoked. Deliberately no more
    /// than that.
    #[error("the refresh token is not valid")]
    InvalidToken,
    /// The token had been used before: whoever holds it, its session has been ended. To be answered like an invalid one.
    #[error("the refresh token is not valid")]
    Reused,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl AuthService {
    /// Exchanges a refresh token for a new pair of tokens. Of several who present the same one, the first gets them; the
    /// second ends the session, with every token of it.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self, token: &SecretString, origin: &Origin) -> Result<LoggedIn, RefreshError> {
        let presented = RefreshToken::parse(token).ok_or(RefreshError::InvalidToken)?;
        let next = RefreshToken::generate(presented.tenant());
        let act = self.stranger(origin);
        let refreshed = self.sessions.refresh(presented.tenant(), presented.hash(), next.hash(), act).await?;
        match refreshed {
            Refreshed::Rotated(session) => Ok(self.tokens_of(&session, &next)?),
            Refreshed::Revoked(session) => {
                tracing::warn!(session.id = %session, "a spent refresh token was presented: its session is revoked");
                Err(RefreshError::Reused)
            }
            Refreshed::Refused => Err(RefreshError::InvalidToken),
        }
    }

    /// Ends the caller's session, with every token of it. An API key has none, and nothing happens.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn logout(&self, principal: &Principal, origin: &Origin) -> Result<(), PortError> {
        let Some(session) = principal.session() else { return Ok(()) };
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.done(principal.tenant(), Action::LoggedOut, Object::Session(session));
        self.sessions.revoke(principal.tenant(), session, event).await
    }

    /// The tokens with which a session goes on.
    pub(crate) fn tokens_of(&self, session: &Session, refresh: &RefreshToken) -> anyhow::Result<LoggedIn> {
        let subject =
            TokenSubject { user_id: session.user_id, tenant_id: session.tenant_id.clone(), session_id: session.id };
        let access_token = self.tokens.issue(&subject, self.clock.now())?;
        Ok(LoggedIn {
            access_token,
            expires_in_seconds: self.tokens.lifetime().seconds().into(),
            refresh_token: refresh.secret().clone(),
        })
    }
}

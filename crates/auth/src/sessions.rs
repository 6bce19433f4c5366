//! Sessions: opened by a log-in, prolonged by refreshing, ended by a log-out.

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

/// The tokens of a logged-in user.
#[derive(Debug)]
pub struct LoggedIn {
    /// The bearer token of requests.
    pub access_token: SecretString,
    /// Its lifetime in seconds.
    pub expires_in_seconds: u64,
    /// The single-use token for the next pair of tokens.
    pub refresh_token: SecretString,
}

/// The reasons for which a session is not refreshed.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token belongs to no live session: unknown, spent, expired or revoked. Deliberately no more precise than
    /// that.
    #[error("the refresh token is not valid")]
    InvalidToken,
    /// The token was used twice, and its session has been revoked. Clients get the same answer as for an invalid token.
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
    /// Exchanges a refresh token for a new pair of tokens. If one token is presented twice, the second call ends the
    /// session with all its tokens.
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

    /// Ends the caller's session with all its tokens. Does nothing for an API key, which has no session.
    ///
    /// # Errors
    /// [`PortError`] of the store.
    pub async fn logout(&self, principal: &Principal, origin: &Origin) -> Result<(), PortError> {
        let Some(session) = principal.session() else { return Ok(()) };
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.done(principal.tenant(), Action::LoggedOut, Object::Session(session));
        self.sessions.revoke(principal.tenant(), session, event).await
    }

    /// Issues the tokens with which a session goes on.
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

//! Sessions: opened by a log-in, prolonged by refreshing, ended by a log-out.

use mass_domain::access::{Actor, Principal};
use mass_domain::audit::{Act, Action, Object};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::tenancy::Suspended;
use mass_domain::trace::Origin;
use secrecy::SecretString;
use uuid::Uuid;

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
    /// The token is good, and the tenant is suspended. It stays good.
    #[error(transparent)]
    Suspended(#[from] Suspended),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// Reason for which a caller's sessions are not listed or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The caller has no such live session.
    #[error("the caller has no such session")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Returns the user who calls; `None` if the caller is none, such as an API key, which has no session.
const fn user_of(principal: &Principal) -> Option<UserId> {
    match principal.actor() {
        Actor::User(id) => Some(id),
        Actor::ApiKey(_) | Actor::System | Actor::Anonymous => None,
    }
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
            Refreshed::Suspended => Err(Suspended.into()),
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

    /// Returns a page of the caller's live sessions, newest first.
    ///
    /// # Errors
    /// [`SessionError`], but never [`SessionError::NotFound`].
    pub async fn sessions(
        &self,
        principal: &Principal,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<Session>, SessionError> {
        let user = user_of(principal);
        let name = user.map(|user| user.to_string());
        let scope = CursorScope::of("sessions", [Some(principal.tenant().as_str()), name.as_deref()]);
        let before: Option<Uuid> = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(SessionId::from_uuid);
        let rows = match user {
            Some(user) => self.sessions.list(principal.tenant(), Some(user), before, limit, self.clock.now()).await?,
            None => Vec::new(),
        };
        Ok(Page::from_lookahead(rows, limit, scope, |session| session.id.as_uuid()))
    }

    /// Ends a live session of the caller with all its tokens; the present one, too.
    ///
    /// # Errors
    /// [`SessionError`], but never [`SessionError::ForeignCursor`].
    pub async fn end_session(&self, principal: &Principal, id: SessionId, origin: &Origin) -> Result<(), SessionError> {
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let found = self.sessions.find(principal.tenant(), id).await?.map(|versioned| versioned.found.session);
        let own = found.filter(|session| Some(session.user_id) == user_of(principal) && session.is_live(act.at));
        let event = own.ok_or(SessionError::NotFound)?.revoked_by(&act);
        Ok(self.sessions.revoke(principal.tenant(), id, event).await?)
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

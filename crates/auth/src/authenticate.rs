//! Recognising the caller of a request.

use std::net::IpAddr;

use mass_domain::access::Principal;
use mass_domain::api_keys::KeyToken;
use mass_domain::port::PortError;

use crate::AuthService;
use crate::api_keys::RefusedApiKey;
use crate::tokens::{RefusedToken, TokenSubject};

/// Why a caller is not recognised.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The token was good once; its holder should log in again.
    #[error("the access token has expired")]
    Expired,
    /// The token never was good, or not yet. The reason is for the log.
    #[error("the access token is not valid: {0}")]
    InvalidToken(RefusedToken),
    /// The token is good, but its session has ended, or its user is disabled. A client learns no more than that the
    /// token is invalid.
    #[error("the session of the access token has ended, or its user is disabled")]
    NoSession,
    /// The token is an API key that opens nothing. The reason is for the log.
    #[error(transparent)]
    ApiKey(#[from] RefusedApiKey),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<RefusedToken> for AuthenticateError {
    fn from(refused: RefusedToken) -> Self {
        if refused == RefusedToken::Expired { Self::Expired } else { Self::InvalidToken(refused) }
    }
}

impl AuthService {
    /// Recognises the bearer of an access token or API key, who calls from this address.
    ///
    /// The session, and its user's roles and state, are read from the store and not from the token, so that logging out,
    /// changing a password, disabling a user or changing a role takes effect on the next request.
    ///
    /// # Errors
    /// [`AuthenticateError`].
    pub async fn authenticate(&self, token: &str, address: Option<IpAddr>) -> Result<Principal, AuthenticateError> {
        if KeyToken::claims(token) {
            return self.authenticate_key(token, address).await;
        }
        let now = self.clock.now();
        let TokenSubject { user_id, tenant_id, session_id } = self.tokens.verify(token, now)?;
        let found = self.sessions.find(&tenant_id, session_id).await?;
        found
            .filter(|(session, _)| session.is_live(now) && session.user_id == user_id)
            .and_then(|(session, user)| user.into_principal(session.id))
            .ok_or(AuthenticateError::NoSession)
    }
}

//! Recognising the caller of a request.

use mass_domain::access::Principal;
use mass_domain::port::PortError;
use mass_domain::users::User;

use crate::AuthService;
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
    /// The token is good, but its user is disabled or gone. A client learns no more than that the token is invalid.
    #[error("the user of the access token is disabled or gone")]
    NoSuchUser,
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
    /// Recognises the bearer of an access token.
    ///
    /// Roles and state are read from the store, not from the token, so that disabling a user or changing a role takes
    /// effect on the next request.
    ///
    /// # Errors
    /// [`AuthenticateError`].
    pub async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let TokenSubject { user_id, tenant_id } = self.tokens.verify(token, self.clock.now())?;
        let user = self.users.find(&tenant_id, user_id).await?;
        user.and_then(User::into_principal).ok_or(AuthenticateError::NoSuchUser)
    }
}

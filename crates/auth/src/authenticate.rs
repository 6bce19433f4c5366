//! Recognising the caller of a request.

use std::net::IpAddr;

use mass_domain::access::Principal;
use mass_domain::api_keys::{KeyToken, RefusedKey};
use mass_domain::port::PortError;

use crate::AuthService;
use crate::api_keys::RefusedApiKey;
use crate::tokens::{RefusedToken, TokenSubject};

/// Why a credential opens nothing. The reason is for the log and the audit trail: a client learns no more than that its
/// token is not valid or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCredential {
    /// It is no good access token.
    #[error("the access token is not valid: {0}")]
    Token(RefusedToken),
    /// The token is good, but its session has ended, or its user is disabled.
    #[error("the session of the access token has ended, or its user is disabled")]
    NoSession,
    /// It is an API key that opens nothing.
    #[error(transparent)]
    ApiKey(#[from] RefusedApiKey),
}

impl RefusedCredential {
    /// The reason in a word, for machines.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token(RefusedToken::TooLong | RefusedToken::Malformed) => "token_malformed",
            Self::Token(RefusedToken::UnknownKey) => "token_of_unknown_key",
            Self::Token(RefusedToken::ForeignHeader) => "token_of_foreign_header",
            Self::Token(RefusedToken::WrongSignature) => "token_signature_wrong",
            Self::Token(RefusedToken::ForeignClaims) => "token_of_foreign_claims",
            Self::Token(RefusedToken::NotYetValid) => "token_not_yet_valid",
            Self::Token(RefusedToken::Expired) => "token_expired",
            Self::NoSession => "session_ended",
            Self::ApiKey(RefusedApiKey::Malformed) => "key_malformed",
            Self::ApiKey(RefusedApiKey::Unknown) => "key_unknown",
            Self::ApiKey(RefusedApiKey::WrongSecret) => "key_secret_wrong",
            Self::ApiKey(RefusedApiKey::Refused(RefusedKey::Revoked)) => "key_revoked",
            Self::ApiKey(RefusedApiKey::Refused(RefusedKey::Expired)) => "key_expired",
            Self::ApiKey(RefusedApiKey::Refused(RefusedKey::ForeignAddress)) => "key_from_foreign_address",
        }
    }
}

/// Why a caller is not recognised.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// What was presented opens nothing.
    #[error(transparent)]
    Refused(#[from] RefusedCredential),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<RefusedToken> for AuthenticateError {
    fn from(refused: RefusedToken) -> Self {
        Self::Refused(RefusedCredential::Token(refused))
    }
}

impl From<RefusedApiKey> for AuthenticateError {
    fn from(refused: RefusedApiKey) -> Self {
        Self::Refused(RefusedCredential::ApiKey(refused))
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
            .ok_or(RefusedCredential::NoSession.into())
    }
}

//! Recognising the caller of a request.

use std::net::IpAddr;
use std::sync::Arc;

use mass_domain::access::Principal;
use mass_domain::api_keys::{KeyToken, RefusedKey};
use mass_domain::port::PortError;
use mass_domain::tenancy::CredentialsVersion;
use mass_domain::time::Timestamp;
use mass_domain::users::User;

use crate::AuthService;
use crate::session::Session;
use crate::stored_key::{RefusedApiKey, StoredKey};
use crate::tokens::{RefusedToken, TokenSubject};
use crate::versioned::Versioned;

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

impl From<RefusedApiKey> for AuthenticateError {
    fn from(refused: RefusedApiKey) -> Self {
        Self::Refused(RefusedCredential::ApiKey(refused))
    }
}

/// A caller as it is remembered, which the store has not been asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Who it was.
    pub principal: Principal,
    /// It is the same as long as its tenant's credentials are at this version.
    pub as_of: CredentialsVersion,
    /// The key, if it was one.
    pub(crate) key: Option<Arc<Versioned<StoredKey>>>,
}

/// What a bearer token turned out to be. A key still has to be proved, by its secret.
enum Credential {
    /// A good access token.
    Token(TokenSubject),
    /// An API key.
    Key(KeyToken),
}

impl AuthService {
    /// Tells who the bearer of an access token or API key is, who calls from this address, if it is remembered. Whoever
    /// acts for it has to make sure that the version is the present one, at the latest in the transaction of the act.
    ///
    /// # Errors
    /// [`RefusedCredential`] of what is no good whatever the store says.
    pub fn recall(&self, token: &str, address: Option<IpAddr>) -> Result<Option<Remembered>, RefusedCredential> {
        let now = self.clock.now();
        let remembered = self.remembered(&self.read(token, now)?, now, address);
        // If it turns out to have been revoked, the store leaves the date as it is.
        if let Some(key) = remembered.as_ref().and_then(|remembered| remembered.key.as_ref()) {
            self.mark_used(&key.found.key, now);
        }
        Ok(remembered)
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<Credential, RefusedCredential> {
        if KeyToken::claims(token) {
            return Ok(Credential::Key(KeyToken::parse(token).map_err(|_| RefusedApiKey::Malformed)?));
        }
        self.tokens.verify(token, now).map(Credential::Token).map_err(RefusedCredential::Token)
    }

    fn remembered(&self, credential: &Credential, now: Timestamp, address: Option<IpAddr>) -> Option<Remembered> {
        match credential {
            Credential::Token(subject) => self.remembered_session(subject, now),
            Credential::Key(token) => self.remembered_key(token, now, address),
        }
    }

    fn remembered_session(&self, subject: &TokenSubject, now: Timestamp) -> Option<Remembered> {
        let known = self.known_sessions.get(&(subject.tenant_id.clone(), subject.session_id))?;
        let remembered = Remembered { principal: known.found.principal.clone(), as_of: known.version, key: None };
        known.found.opens(subject, now).then_some(remembered)
    }

    /// Recognises the bearer of an access token or API key, who calls from this address.
    ///
    /// The session, and its user's roles and state, are those of the store and not of the token, so that logging out,
    /// changing a password, disabling a user or changing a role takes effect on the next request, at whichever server
    /// of the database. They are remembered with the version of the tenant's credentials that they were found at. Each
    /// request asks for the present version, by a read that begins after the request arrived: whatever was committed
    /// before has counted by then, so what was found at an equal version still holds. What was found at another one is
    /// looked up again.
    ///
    /// # Errors
    /// [`AuthenticateError`].
    pub async fn authenticate(&self, token: &str, address: Option<IpAddr>) -> Result<Principal, AuthenticateError> {
        let now = self.clock.now();
        let credential = self.read(token, now)?;
        if let Some(Remembered { principal, as_of, key }) = self.remembered(&credential, now, address)
            && self.versions.current(principal.tenant()).await? == Some(as_of)
        {
            if let Some(key) = key {
                self.mark_used(&key.found.key, now);
            }
            return Ok(principal);
        }
        match credential {
            Credential::Token(subject) => self.look_up_session(&subject, now).await,
            Credential::Key(token) => self.look_up_key(&token, now, address).await,
        }
    }

    async fn look_up_session(&self, subject: &TokenSubject, now: Timestamp) -> Result<Principal, AuthenticateError> {
        let key = (subject.tenant_id.clone(), subject.session_id);
        let found = self.sessions.find(&subject.tenant_id, subject.session_id).await?;
        let known = found.and_then(KnownSession::of).filter(|known| known.found.opens(subject, now));
        let Some(known) = known else {
            self.known_sessions.forget(&key);
            return Err(RefusedCredential::NoSession.into());
        };
        let principal = known.found.principal.clone();
        self.known_sessions.insert(&key, Arc::new(known));
        Ok(principal)
    }
}

/// A session, and who calls in it.
pub(crate) struct KnownSession {
    session: Session,
    principal: Principal,
}

impl KnownSession {
    /// None if its user is disabled.
    fn of(Versioned { found: (session, user), version }: Versioned<(Session, User)>) -> Option<Versioned<Self>> {
        let principal = user.into_principal(session.id)?;
        Some(Versioned { found: Self { session, principal }, version })
    }

    /// Whether it is its user's who presents a token of it, and still goes on. One that seems to have expired may have
    /// been refreshed since it was found.
    fn opens(&self, subject: &TokenSubject, now: Timestamp) -> bool {
        self.session.is_live(now) && self.session.user_id == subject.user_id
    }
}

#[cfg(test)]
mod tests;

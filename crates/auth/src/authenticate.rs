//! Authentication of a request's bearer token.

use std::net::IpAddr;
use std::sync::Arc;

use mass_domain::access::Principal;
use mass_domain::api_keys::{KeyToken, RefusedKey};
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, Suspended};
use mass_domain::time::Timestamp;

use crate::AuthService;
use crate::session::Session;
use crate::store::FoundSession;
use crate::stored_key::{RefusedApiKey, StoredKey};
use crate::tokens::{RefusedToken, TokenSubject};
use crate::versioned::Versioned;

/// The reasons for which a credential is refused, for the log and the audit trail. Clients learn only that their token
/// is not valid or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCredential {
    /// The access token is not valid.
    #[error("the access token is not valid: {0}")]
    Token(RefusedToken),
    /// The access token is valid, but its session has ended or its user is disabled.
    #[error("the session of the access token has ended, or its user is disabled")]
    NoSession,
    /// The API key is refused.
    #[error(transparent)]
    ApiKey(#[from] RefusedApiKey),
}

impl RefusedCredential {
    /// Returns the reason as a stable code.
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

/// The errors of authenticating a request.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The credential is refused.
    #[error(transparent)]
    Refused(#[from] RefusedCredential),
    /// The credential is good, and its tenant is suspended.
    #[error(transparent)]
    Suspended(#[from] Suspended),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<RefusedApiKey> for AuthenticateError {
    fn from(refused: RefusedApiKey) -> Self {
        Self::Refused(RefusedCredential::ApiKey(refused))
    }
}

/// A cached principal, valid only while the tenant's credentials version matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedPrincipal {
    /// The principal.
    pub principal: Principal,
    /// The credentials version of the tenant at which the principal was read.
    pub as_of: CredentialsVersion,
    /// The cached key, if the credential is an API key.
    pub(crate) key: Option<Arc<Versioned<StoredKey>>>,
}

/// A parsed bearer token. The secret of an API key has not been checked yet.
enum Credential {
    /// A valid access token.
    Token(TokenSubject),
    /// An API key.
    Key(KeyToken),
}

impl AuthService {
    /// Returns the cached principal of a bearer token, without asking the store. The caller must check the credentials
    /// version, at the latest in the transaction of the operation.
    ///
    /// # Errors
    /// [`RefusedCredential`] if the token is refused without a look at the store.
    pub fn cached_principal(
        &self,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<CachedPrincipal>, RefusedCredential> {
        let now = self.clock.now();
        let cached = self.cached(&self.read(token, now)?, now, address);
        // If the key has been revoked meanwhile, the store leaves the date as it is.
        if let Some(key) = cached.as_ref().and_then(|cached| cached.key.as_ref()) {
            self.mark_used(&key.found.key, now);
        }
        Ok(cached)
    }

    fn read(&self, token: &str, now: Timestamp) -> Result<Credential, RefusedCredential> {
        if KeyToken::claims(token) {
            return Ok(Credential::Key(KeyToken::parse(token).map_err(|_| RefusedApiKey::Malformed)?));
        }
        self.tokens.verify(token, now).map(Credential::Token).map_err(RefusedCredential::Token)
    }

    fn cached(&self, credential: &Credential, now: Timestamp, address: Option<IpAddr>) -> Option<CachedPrincipal> {
        match credential {
            Credential::Token(subject) => self.cached_session(subject, now),
            Credential::Key(token) => self.cached_key(token, now, address),
        }
    }

    fn cached_session(&self, subject: &TokenSubject, now: Timestamp) -> Option<CachedPrincipal> {
        let known = self.cached_sessions.get(&(subject.tenant_id.clone(), subject.session_id))?;
        let cached = CachedPrincipal { principal: known.found.principal.clone(), as_of: known.version, key: None };
        known.found.opens(subject, now).then_some(cached)
    }

    /// Authenticates the bearer of an access token or API key.
    ///
    /// The session and its user's roles and state come from the store, not from the token: a log-out, a changed
    /// password, a disabled user or a changed role takes effect with the next request, at every server of the database.
    /// They are cached together with the tenant's credentials version. Each request reads the current version after it
    /// has arrived, and uses the cached principal only if the versions are equal; otherwise it looks the credential up
    /// again.
    ///
    /// # Errors
    /// [`AuthenticateError`].
    pub async fn authenticate(&self, token: &str, address: Option<IpAddr>) -> Result<Principal, AuthenticateError> {
        let now = self.clock.now();
        let credential = self.read(token, now)?;
        if let Some(CachedPrincipal { principal, as_of, key }) = self.cached(&credential, now, address)
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
        let known = found.and_then(CachedSession::of).filter(|known| known.found.opens(subject, now));
        let Some(known) = known else {
            self.cached_sessions.forget(&key);
            return Err(RefusedCredential::NoSession.into());
        };
        if known.is_suspended {
            self.cached_sessions.forget(&key);
            return Err(Suspended.into());
        }
        let principal = known.found.principal.clone();
        self.cached_sessions.insert(&key, Arc::new(known));
        Ok(principal)
    }
}

/// A session with the principal that calls in it.
pub(crate) struct CachedSession {
    session: Session,
    principal: Principal,
}

impl CachedSession {
    /// Returns `None` if the user is disabled.
    fn of(Versioned { found, version, is_suspended }: Versioned<FoundSession>) -> Option<Versioned<Self>> {
        let factor = found.factor();
        let FoundSession { session, user, .. } = found;
        let principal = user.into_principal(session.id)?.with_factor(factor);
        Some(Versioned { found: Self { session, principal }, version, is_suspended })
    }

    /// Returns true if the session belongs to the token's user and has not ended. A session that seems expired may have
    /// been refreshed since it was read.
    fn opens(&self, subject: &TokenSubject, now: Timestamp) -> bool {
        self.session.is_live(now) && self.session.user_id == subject.user_id
    }
}

#[cfg(test)]
mod tests;

//! Recognising the bearer of an API key.

use std::net::IpAddr;

use async_trait::async_trait;
use mass_domain::access::Principal;
use mass_domain::api_keys::{ApiKey, KeyPrefix, KeyToken, RefusedKey, SecretDigest};
use mass_domain::ids::ApiKeyId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::AuthService;
use crate::authenticate::AuthenticateError;

/// How exactly it is known when a key was used last.
const LAST_USE_SECONDS: i64 = 60;

/// A key with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The key.
    pub key: ApiKey,
    /// What is kept of its secret.
    pub secret: SecretDigest,
}

/// Keeps API keys. Each call is one unit of work.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Finds a key by the public part of its token: a look-up that knows no tenant yet.
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<StoredKey>, PortError>;

    /// Remembers that a key was used at an instant, unless a later use is remembered.
    async fn mark_used(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), PortError>;
}

/// Why the bearer of an API key is not recognised. A client learns no more than that its token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedApiKey {
    /// It is not of the form of a key.
    #[error("not of the form of an API key")]
    Malformed,
    /// Nobody has a key with this prefix.
    #[error("there is no such API key")]
    Unknown,
    /// The prefix is known, the secret is another.
    #[error("the secret of the API key is wrong")]
    WrongSecret,
    /// The key is right, but may not be used now or from here.
    #[error(transparent)]
    Refused(#[from] RefusedKey),
}

impl AuthService {
    /// Recognises the bearer of an API key. Everything is read from the store, so that revoking a key takes effect on
    /// the next request.
    pub(crate) async fn authenticate_key(
        &self,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthenticateError> {
        let token = KeyToken::parse(token).map_err(|_| RefusedApiKey::Malformed)?;
        let stored = self.api_keys.find_by_prefix(token.prefix()).await?.ok_or(RefusedApiKey::Unknown)?;
        if stored.secret != token.digest() {
            return Err(RefusedApiKey::WrongSecret.into());
        }
        let now = self.clock.now();
        stored.key.judge(now, address).map_err(RefusedApiKey::Refused)?;
        self.mark_used(&stored.key, now).await;
        Ok(stored.key.into_principal())
    }

    /// At most once a minute, so that a busy gateway does not write with every request. A failure costs nothing but a
    /// stale date, so it does not stop the request.
    async fn mark_used(&self, key: &ApiKey, now: Timestamp) {
        let stale = |last: Timestamp| last.plus_seconds(LAST_USE_SECONDS).is_some_and(|next| now >= next);
        if key.last_used_at.is_none_or(stale)
            && let Err(error) = self.api_keys.mark_used(&key.tenant_id, key.id, now).await
        {
            tracing::warn!(key.id = %key.id, error = &error as &dyn std::error::Error, "a use was not remembered");
        }
    }
}

//! Recognising the bearer of an API key.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::access::Principal;
use mass_domain::api_keys::{ApiKey, KeyPrefix, KeyToken, RefusedKey, SecretDigest};
use mass_domain::ids::ApiKeyId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use tracing::Instrument as _;

use crate::AuthService;
use crate::authenticate::{AuthenticateError, Remembered};
use crate::store::Versioned;

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
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<Versioned<StoredKey>>, PortError>;

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
    /// Tells who the bearer of an API key is, if it is remembered and may be used now and from here.
    pub(crate) fn remembered_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Option<Remembered> {
        let known = self.known_keys.get(token.prefix()).filter(|known| known.found.secret == token.digest())?;
        known.found.key.check(now, address).ok()?;
        let principal = known.found.key.clone().into_principal();
        Some(Remembered { principal, as_of: known.version, key: Some(known) })
    }

    /// Recognises the bearer of an API key by the store.
    pub(crate) async fn look_up_key(
        &self,
        token: &KeyToken,
        now: Timestamp,
        address: Option<IpAddr>,
    ) -> Result<Principal, AuthenticateError> {
        let Some(found) = self.api_keys.find_by_prefix(token.prefix()).await? else {
            self.known_keys.forget(token.prefix());
            return Err(RefusedApiKey::Unknown.into());
        };
        if found.found.secret != token.digest() {
            return Err(RefusedApiKey::WrongSecret.into());
        }
        let key = found.found.key.clone();
        let judged = key.check(now, address);
        match judged {
            // From where it is used is judged by each request.
            Ok(()) | Err(RefusedKey::ForeignAddress) => {
                self.known_keys.insert(token.prefix(), Arc::new(found));
            }
            Err(RefusedKey::Revoked | RefusedKey::Expired) => self.known_keys.forget(token.prefix()),
        }
        judged.map_err(RefusedApiKey::Refused)?;
        self.mark_used(&key, now);
        Ok(key.into_principal())
    }

    /// At most once a minute, so that a busy gateway does not write with every request, and beside the request, which
    /// need not wait for it. A failure, or a stop of the server meanwhile, costs nothing but a stale date.
    pub(crate) fn mark_used(&self, key: &ApiKey, now: Timestamp) {
        let fresh = |last: Timestamp| last.plus_seconds(LAST_USE_SECONDS).is_some_and(|next| now < next);
        // What is remembered of the key may be older than its last mark. Of several at once, the first marks it.
        if key.last_used_at.is_some_and(fresh)
            || self.marked_uses.get(&key.id).is_some_and(fresh)
            || self.marked_uses.insert(&key.id, now).is_some_and(fresh)
        {
            return;
        }
        let (keys, tenant, id) = (Arc::clone(&self.api_keys), key.tenant_id.clone(), key.id);
        let mark = async move {
            if let Err(error) = keys.mark_used(&tenant, id, now).await {
                tracing::warn!(key.id = %id, error = &error as &dyn std::error::Error, "a use was not remembered");
            }
        };
        tokio::spawn(mark.in_current_span());
    }
}

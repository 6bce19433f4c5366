//! API keys as they are stored, the port to them, and the reasons for which one is refused.

use async_trait::async_trait;
use mass_domain::api_keys::{ApiKey, KeyPrefix, RefusedKey, SecretDigest};
use mass_domain::ids::ApiKeyId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::versioned::Versioned;

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

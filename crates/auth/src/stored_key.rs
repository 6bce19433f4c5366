//! API keys as they are stored, the port to them, and the reasons for which one is refused.

use async_trait::async_trait;
use mass_domain::api_keys::{ApiKey, KeyPrefix, RefusedKey, SecretDigest};
use mass_domain::ids::ApiKeyId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::versioned::Versioned;

/// An API key with the digest of its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// The key.
    pub key: ApiKey,
    /// The digest of its secret.
    pub secret: SecretDigest,
}

/// Port to stored API keys. Each call is one transaction.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Finds a key by the public prefix of its token. This look-up knows no tenant yet.
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<Versioned<StoredKey>>, PortError>;

    /// Records the instant of a key's use, unless a later use is recorded already.
    async fn mark_used(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), PortError>;
}

/// The reasons for which an API key is refused. Clients learn only that their token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedApiKey {
    /// The token does not have the form of an API key.
    #[error("not of the form of an API key")]
    Malformed,
    /// No key has this prefix.
    #[error("there is no such API key")]
    Unknown,
    /// A key has this prefix, but another secret.
    #[error("the secret of the API key is wrong")]
    WrongSecret,
    /// The secret is right, but the key is revoked, expired or bound to other addresses.
    #[error(transparent)]
    Refused(#[from] RefusedKey),
}

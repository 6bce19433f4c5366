//! The API keys of a tenant: creation, lists and revocation.

use std::collections::BTreeSet;

use async_trait::async_trait;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::api_keys::{AddressRange, ApiKey, KeyName, KeyPrefix, KeyToken, SecretDigest};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::ids::ApiKeyId;
use mass_domain::page::{CursorScope, Limit, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use secrecy::SecretString;

use crate::AdminService;
use crate::read::{ListQuery, ReadError};

/// The port that stores API keys. Each call is one transaction, restricted to the tenant's data. It appends the given
/// event only if it changes something.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Stores a key and the digest of its secret. Returns `false` if the prefix is taken, in any tenant.
    ///
    /// # Errors
    /// [`CreateKeyError::CallerEnded`] if the creator may not act any more.
    async fn insert(&self, key: ApiKey, secret: SecretDigest, event: NewEvent) -> Result<bool, CreateKeyError>;

    /// Finds a key.
    async fn find(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, PortError>;

    /// Lists keys, newest (greatest id) first, from below `before`: at most `limit + 1` rows. A prefix restricts the
    /// list to that key.
    async fn list(
        &self,
        tenant: &TenantId,
        prefix: Option<&KeyPrefix>,
        before: Option<ApiKeyId>,
        limit: Limit,
    ) -> Result<Vec<ApiKey>, PortError>;

    /// Revokes a key and all keys that it created, directly or through other keys. Appends an event built by
    /// [`cascaded_revocation`] for each of those. Keys that are already revoked stay unchanged. Returns `false` if the
    /// key does not exist.
    async fn revoke(&self, tenant: &TenantId, id: ApiKeyId, event: NewEvent) -> Result<bool, PortError>;
}

/// The input for creating a key in the caller's tenant.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The display name.
    pub name: KeyName,
    /// Permissions to grant.
    pub permissions: BTreeSet<Permission>,
    /// Addresses that may use the key; empty for any address.
    pub addresses: BTreeSet<AddressRange>,
    /// Instant from which the key is refused; `None` if it never expires.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// Limits addresses and expiry to those of the creating key, and takes over the creating key's values where none
    /// are given.
    fn bind_to(&mut self, creator: &ApiKey) -> Result<(), CreateKeyError> {
        let allowed = |range: &AddressRange| creator.addresses.iter().any(|bound| range.is_within(bound));
        if self.addresses.is_empty() {
            self.addresses.clone_from(&creator.addresses);
        } else if !creator.addresses.is_empty() && !self.addresses.iter().all(allowed) {
            let bounds: Vec<_> = creator.addresses.iter().map(ToString::to_string).collect();
            return Err(CreateKeyError::AddressBeyondCreator(bounds.join(", ")));
        }
        if let Some(end) = creator.expires_at {
            if self.expires_at.is_some_and(|asked| asked > end) {
                return Err(CreateKeyError::ExpiresAfterCreator(end));
            }
            self.expires_at = self.expires_at.or(Some(end));
        }
        Ok(())
    }
}

/// The result of creating a key.
#[derive(Debug)]
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// The token, to be shown once: MASS does not store it.
    pub token: SecretString,
}

/// Reason why a key is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// The caller lacks a permission: to manage keys, or one that it wants to grant.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The expiry is not in the future.
    #[error("the expiry must be in the future")]
    ExpiresInThePast,
    /// The creating key is restricted to other addresses.
    #[error("the addresses must be within those of the creating key: {0}")]
    AddressBeyondCreator(String),
    /// The creating key expires earlier.
    #[error("the key must not expire after the creating key, which expires at {0}")]
    ExpiresAfterCreator(Timestamp),
    /// The caller was revoked, expired or disabled in the meantime.
    #[error("the caller was revoked, has expired or was disabled in the meantime")]
    CallerEnded,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
    /// An internal error.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

/// Reason why a key is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's tenant has no such key.
    #[error("the API key does not exist")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// Creates a key in the caller's tenant. A key cannot create one with more permissions, more addresses or a later
    /// expiry than its own. It passes on its own addresses and expiry if none are given.
    ///
    /// # Errors
    /// [`CreateKeyError`].
    pub async fn create_key(
        &self,
        principal: &Principal,
        mut new: NewKey,
        origin: &Origin,
    ) -> Result<CreatedKey, CreateKeyError> {
        principal.require(Permission::KeysManage)?;
        principal.require_can_grant(new.permissions.iter().copied())?;
        if let Actor::ApiKey(creator) = principal.actor() {
            new.permissions.iter().try_for_each(|permission| principal.require(*permission))?;
            let creator = self.stores.api_keys.find(principal.tenant(), creator).await?;
            new.bind_to(&creator.ok_or(Forbidden(Permission::KeysManage))?)?;
        }
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(CreateKeyError::ExpiresInThePast);
        }
        let token = KeyToken::from_random(&rand::random());
        let key = ApiKey {
            id: ApiKeyId::from_uuid(self.next_id(now)),
            tenant_id: principal.tenant().clone(),
            prefix: token.prefix().clone(),
            name: new.name,
            permissions: new.permissions,
            addresses: new.addresses,
            expires_at: new.expires_at,
            last_used_at: None,
            created_at: now,
            created_by: principal.actor(),
            revoked_at: None,
        };
        let event = created(&Act::new(principal.actor(), now, origin), &key);
        if !self.stores.api_keys.insert(key.clone(), token.digest(), event).await? {
            return Err(anyhow::anyhow!("60 random bits are taken: the source of randomness is broken").into());
        }
        Ok(CreatedKey { key, token: SecretString::from(token.expose()) })
    }

    /// Returns a key of the caller's tenant.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn key(&self, principal: &Principal, id: ApiKeyId) -> Result<ApiKey, ReadError> {
        principal.require(Permission::KeysManage)?;
        self.stores.api_keys.find(principal.tenant(), id).await?.ok_or(ReadError::NotFound)
    }

    /// Returns a page of the keys of the caller's tenant, newest first, optionally only the one with this prefix.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::NotFound`].
    pub async fn keys(
        &self,
        principal: &Principal,
        prefix: Option<&KeyPrefix>,
        query: &ListQuery,
    ) -> Result<Page<ApiKey>, ReadError> {
        principal.require(Permission::KeysManage)?;
        let filters = [Some(principal.tenant().as_str()), prefix.map(KeyPrefix::as_str)];
        let scope = CursorScope::of("api-keys", filters);
        let before = query.last_seen(scope)?.map(ApiKeyId::from_uuid);
        let rows = self.stores.api_keys.list(principal.tenant(), prefix, before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// Revokes a key and all keys that it created, directly or through other keys. It takes effect on their next
    /// request. Revoking a key again changes nothing.
    ///
    /// # Errors
    /// [`RevokeKeyError`].
    pub async fn revoke_key(&self, principal: &Principal, id: ApiKeyId, origin: &Origin) -> Result<(), RevokeKeyError> {
        principal.require(Permission::KeysManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let event = act.done(principal.tenant(), Action::ApiKeyRevoked, Object::ApiKey(id));
        let known = self.stores.api_keys.revoke(principal.tenant(), id, event).await?;
        if known { Ok(()) } else { Err(RevokeKeyError::NotFound) }
    }
}

/// Builds the event of a revocation that follows from the revocation of the creating key, or from disabling the user
/// that created the key.
#[must_use]
pub fn cascaded_revocation(cause: &NewEvent, key: ApiKeyId) -> NewEvent {
    let id = cause.object.id().map(std::borrow::Cow::into_owned);
    let event = NewEvent {
        action: Action::ApiKeyRevoked,
        object: Object::ApiKey(key),
        detail: serde_json::Map::new(),
        ..cause.clone()
    };
    event.with("follows_from", serde_json::json!({"kind": cause.object.kind(), "id": id}))
}

/// Error: a key that is restricted to addresses or expires would create a credential without these restrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key that is restricted to addresses or expires must not let anybody log in")]
pub struct BoundKey;

impl AdminService {
    /// Refuses a key that is restricted to addresses or expires. For use cases that let somebody log in: a user account
    /// has no such restrictions, so the holder of the key could evade them.
    pub(crate) async fn require_unbound<E>(&self, principal: &Principal) -> Result<(), E>
    where
        E: From<BoundKey> + From<Forbidden> + From<PortError>,
    {
        let Actor::ApiKey(id) = principal.actor() else { return Ok(()) };
        let key = self.stores.api_keys.find(principal.tenant(), id).await?;
        let key = key.ok_or(Forbidden(Permission::UsersManage))?;
        if key.addresses.is_empty() && key.expires_at.is_none() { Ok(()) } else { Err(BoundKey.into()) }
    }
}

/// Builds the event of a key's creation, with all its attributes except the secret.
fn created(act: &Act, key: &ApiKey) -> NewEvent {
    let permissions: Vec<&str> = key.permissions.iter().map(|permission| permission.as_str()).collect();
    let addresses: Vec<String> = key.addresses.iter().map(ToString::to_string).collect();
    act.done(&key.tenant_id, Action::ApiKeyCreated, Object::ApiKey(key.id))
        .with("name", key.name.as_str())
        .with("prefix", key.prefix.as_str())
        .with("permissions", permissions)
        .with("addresses", addresses)
        .with("expires_at", key.expires_at.map(|end| end.to_string()))
}

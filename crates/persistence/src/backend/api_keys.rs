//! API keys: the ports and their transactions.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{CreateKeyError, KeyStore, cascaded_revocation};
use mass_auth::{ApiKeyStore, StoredKey, Versioned};
use mass_domain::access::Actor;
use mass_domain::api_keys::{ApiKey, KeyPrefix, SecretDigest};
use mass_domain::audit::NewEvent;
use mass_domain::ids::ApiKeyId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;

use super::audit::Head;
use super::directory::{self, Kind};
use super::{Connection, Store, credentials};
use crate::columns::{Id, Instant};
use crate::rows::ApiKeyRow;
use crate::schema::{api_keys, tenants, users};

#[async_trait]
impl ApiKeyStore for Store {
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<Versioned<StoredKey>>, PortError> {
        let prefix = prefix.clone();
        self.reads.read_for_found(move |connection| whose(connection, &prefix), find_versioned).await
    }

    async fn mark_used(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| mark_used(connection, tenant, id, at)).await
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn insert(&self, key: ApiKey, secret: SecretDigest, event: NewEvent) -> Result<bool, CreateKeyError> {
        let tenant = key.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| create(connection, key, secret, event)).await?
    }

    async fn find(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        let stored = self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await?;
        Ok(stored.map(|stored| stored.key))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        prefix: Option<&KeyPrefix>,
        before: Option<ApiKeyId>,
        limit: Limit,
    ) -> Result<Vec<ApiKey>, PortError> {
        let prefix = prefix.cloned();
        self.reads
            .read_for(tenant, move |connection, tenant| list(connection, tenant, prefix.as_ref(), before, limit))
            .await
    }

    async fn revoke(&self, tenant: &TenantId, id: ApiKeyId, event: NewEvent) -> Result<bool, PortError> {
        self.writes.run_for(tenant, move |connection, tenant| revoke(connection, tenant, id, event)).await
    }
}

/// The keys that one statement revokes.
const KEYS_PER_STATEMENT: usize = 500;

/// Inserts a key unless its creator may not act any more or its prefix is taken. Returns whether the prefix was free.
pub(super) fn create(
    connection: &mut Connection,
    key: ApiKey,
    secret: SecretDigest,
    event: NewEvent,
) -> QueryResult<Result<bool, CreateKeyError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, &key.tenant_id)?;
        if has_ended(connection, &key.tenant_id, key.created_by, key.created_at)? {
            return Ok(Err(CreateKeyError::CallerEnded));
        }
        let free = directory::claim(connection, Kind::ApiKey, key.prefix.as_str(), &key.tenant_id, key.id.as_uuid())?;
        if free {
            diesel::insert_into(api_keys::table).values(ApiKeyRow::new(key, secret)).execute(connection)?;
            head.append(connection, [event])?;
        }
        Ok(Ok(free))
    })
}

/// Tells whether an actor may not act any more: a disabled user, a revoked or expired key. Transactions that lock the
/// tenant's head see one another's outcome, so that nothing is created by an actor that is being ended.
pub(super) fn has_ended(
    connection: &mut Connection,
    tenant: &TenantId,
    actor: Actor,
    at: Timestamp,
) -> QueryResult<bool> {
    match actor {
        Actor::User(id) => {
            let user = users::table.find((tenant.as_str(), Id(id.as_uuid())));
            diesel::select(diesel::dsl::exists(user.filter(users::disabled_at.is_not_null()))).get_result(connection)
        }
        Actor::ApiKey(id) => {
            let key = api_keys::table.find((tenant.as_str(), Id(id.as_uuid())));
            let ended: Option<(Option<Instant>, Option<Instant>)> =
                key.select((api_keys::revoked_at, api_keys::expires_at)).first(connection).optional()?;
            Ok(ended.is_some_and(|(revoked, end)| revoked.is_some() || end.is_some_and(|end| end.0 <= at)))
        }
        Actor::System | Actor::Anonymous => Ok(false),
    }
}

/// Looks up a prefix in the directory.
pub(super) fn whose(connection: &mut Connection, prefix: &KeyPrefix) -> QueryResult<Option<(TenantId, ApiKeyId)>> {
    let found = directory::find(connection, Kind::ApiKey, prefix.as_str())?;
    Ok(found.map(|(tenant, id)| (tenant, ApiKeyId::from_uuid(id))))
}

/// Finds a key.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, id: ApiKeyId) -> QueryResult<Option<StoredKey>> {
    api_keys::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(ApiKeyRow::as_select())
        .first(connection)
        .optional()?
        .map(ApiKeyRow::into_stored)
        .transpose()
}

/// Finds a key with the credentials version, in one statement and thus one snapshot.
pub(super) fn find_versioned(
    connection: &mut Connection,
    tenant: &TenantId,
    id: ApiKeyId,
) -> QueryResult<Option<Versioned<StoredKey>>> {
    let found: Option<(ApiKeyRow, (i64, bool))> = api_keys::table
        .inner_join(tenants::table.on(tenants::id.eq(api_keys::tenant_id)))
        .filter(api_keys::tenant_id.eq(tenant.as_str()))
        .filter(api_keys::id.eq(Id(id.as_uuid())))
        .select((ApiKeyRow::as_select(), (tenants::credentials_version, tenants::suspended_at.is_not_null())))
        .first(connection)
        .optional()?;
    let Some((key, (version, is_suspended))) = found else { return Ok(None) };
    Ok(Some(Versioned { found: key.into_stored()?, version: CredentialsVersion(version), is_suspended }))
}

/// Lists keys, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    prefix: Option<&KeyPrefix>,
    before: Option<ApiKeyId>,
    limit: Limit,
) -> QueryResult<Vec<ApiKey>> {
    let mut query = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_str()))
        .select(ApiKeyRow::as_select())
        .order(api_keys::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(prefix) = prefix {
        query = query.filter(api_keys::prefix.eq(prefix.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(api_keys::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(|row| Ok(row.into_stored()?.key)).collect()
}

/// Records a use, unless a later one is recorded or the key has been revoked.
pub(super) fn mark_used(
    connection: &mut Connection,
    tenant: &TenantId,
    id: ApiKeyId,
    at: Timestamp,
) -> QueryResult<()> {
    super::write(connection, |connection| {
        diesel::update(api_keys::table.find((tenant.as_str(), Id(id.as_uuid()))))
            .filter(api_keys::revoked_at.is_null())
            .filter(api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(Instant(at))))
            .set(api_keys::last_used_at.eq(Instant(at)))
            .execute(connection)
            .map(|_| ())
    })
}

/// Revokes a key and its descendants. Returns whether there is such a key.
pub(super) fn revoke(
    connection: &mut Connection,
    tenant: &TenantId,
    id: ApiKeyId,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let key = api_keys::table.find((tenant.as_str(), Id(id.as_uuid())));
        if !diesel::select(diesel::dsl::exists(key)).get_result::<bool>(connection)? {
            return Ok(false);
        }
        let revoked = diesel::update(key)
            .filter(api_keys::revoked_at.is_null())
            .set(api_keys::revoked_at.eq(Instant(event.at)))
            .execute(connection)?;
        let descendants = revoke_descendants(connection, tenant, Actor::ApiKey(id), event.at)?;
        credentials::advance(connection, tenant)?;
        let mut events: Vec<_> = descendants.into_iter().map(|key| cascaded_revocation(&event, key)).collect();
        if revoked == 1 {
            events.insert(0, event);
        }
        head.append(connection, events)?;
        Ok(true)
    })
}

/// Revokes the keys that an actor created, the keys that these created, and so on. Returns those that were not revoked
/// yet. The caller advances the version of the tenant's credentials.
pub(super) fn revoke_descendants(
    connection: &mut Connection,
    tenant: &TenantId,
    ancestor: Actor,
    at: Timestamp,
) -> QueryResult<Vec<ApiKeyId>> {
    let Some(ancestor_id) = ancestor.id() else { return Ok(Vec::new()) };
    // All of the tenant's keys at once: one statement per generation would take as many as a chain is long.
    let rows: Vec<(Id, String, Option<Id>, Option<Instant>)> = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_str()))
        .filter(api_keys::created_by_id.is_not_null())
        .select((api_keys::id, api_keys::created_by_kind, api_keys::created_by_id, api_keys::revoked_at))
        .order(api_keys::id)
        .load(connection)?;
    let mut created_by: HashMap<_, Vec<_>> = HashMap::new();
    for (id, kind, creator, revoked_at) in rows {
        created_by.entry((kind, creator.map(|id| id.0))).or_default().push((id.0, revoked_at.is_none()));
    }
    let (mut creators, mut revoked) = (vec![(ancestor.kind().to_owned(), Some(ancestor_id))], Vec::new());
    while let Some(creator) = creators.pop() {
        for (id, is_valid) in created_by.remove(&creator).unwrap_or_default() {
            let key = ApiKeyId::from_uuid(id);
            creators.push((Actor::ApiKey(key).kind().to_owned(), Some(id)));
            if is_valid {
                revoked.push(key);
            }
        }
    }
    for keys in revoked.chunks(KEYS_PER_STATEMENT) {
        diesel::update(api_keys::table)
            .filter(api_keys::tenant_id.eq(tenant.as_str()))
            .filter(api_keys::id.eq_any(keys.iter().map(|key| Id(key.as_uuid()))))
            .set(api_keys::revoked_at.eq(Instant(at)))
            .execute(connection)?;
    }
    Ok(revoked)
}

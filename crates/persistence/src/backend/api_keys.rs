//! API keys: what the ports' methods do in their transactions.

use diesel::prelude::*;
use mass_auth::{StoredKey, Versioned};
use mass_domain::api_keys::{ApiKey, KeyPrefix, SecretDigest};
use mass_domain::audit::NewEvent;
use mass_domain::ids::ApiKeyId;
use mass_domain::page::Limit;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;

use super::Connection;
use super::audit::Head;
use super::directory::{self, Kind};
use crate::columns::{Id, Instant};
use crate::rows::ApiKeyRow;
use crate::schema::{api_keys, tenants};

/// Stores a key unless its prefix is taken; tells whether it was free.
pub(super) fn create(
    connection: &mut Connection,
    key: ApiKey,
    secret: SecretDigest,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, &key.tenant_id)?;
        let free = directory::claim(connection, Kind::ApiKey, key.prefix.as_str(), &key.tenant_id, key.id.as_uuid())?;
        if free {
            diesel::insert_into(api_keys::table).values(ApiKeyRow::new(key, secret)).execute(connection)?;
            head.append(connection, [event])?;
        }
        Ok(free)
    })
}

/// Whose prefix it is.
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

/// Finds a key as it is presented. One statement, so that the version is the one at which it was so.
pub(super) fn find_versioned(
    connection: &mut Connection,
    tenant: &TenantId,
    id: ApiKeyId,
) -> QueryResult<Option<Versioned<StoredKey>>> {
    let found: Option<(ApiKeyRow, i64)> = api_keys::table
        .inner_join(tenants::table.on(tenants::id.eq(api_keys::tenant_id)))
        .filter(api_keys::tenant_id.eq(tenant.as_str()))
        .filter(api_keys::id.eq(Id(id.as_uuid())))
        .select((ApiKeyRow::as_select(), tenants::credentials_version))
        .first(connection)
        .optional()?;
    let Some((key, version)) = found else { return Ok(None) };
    Ok(Some(Versioned { found: key.into_stored()?, version: CredentialsVersion(version) }))
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

/// Remembers a use, unless a later one is remembered or the key has been revoked.
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

/// Revokes a key that is not revoked yet; tells whether there is such a key.
pub(super) fn revoke(
    connection: &mut Connection,
    tenant: &TenantId,
    id: ApiKeyId,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let key = api_keys::table.find((tenant.as_str(), Id(id.as_uuid())));
        let revoked = diesel::update(key)
            .filter(api_keys::revoked_at.is_null())
            .set(api_keys::revoked_at.eq(Instant(event.at)))
            .execute(connection)?;
        if revoked == 1 {
            head.append(connection, [event])?;
            return Ok(true);
        }
        diesel::select(diesel::dsl::exists(key)).get_result(connection)
    })
}

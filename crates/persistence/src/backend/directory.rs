//! The directory: maps an e-mail address or key prefix to its tenant, before authentication.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use crate::columns::{Id, Word};
use crate::schema::directory;

/// The kind of a directory key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The e-mail address of a user.
    Email,
    /// The prefix of an API key.
    ApiKey,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::ApiKey => "api_key",
        }
    }
}

/// Tells whether there is no key of a kind.
pub(super) fn is_empty(connection: &mut Connection, kind: Kind) -> QueryResult<bool> {
    let some = directory::table.filter(directory::kind.eq(kind.as_str()));
    diesel::select(not(exists(some))).get_result(connection)
}

/// Finds the tenant and the object of a key.
pub(super) fn find(connection: &mut Connection, kind: Kind, key: &str) -> QueryResult<Option<(TenantId, Uuid)>> {
    let row: Option<(Word<TenantId>, Id)> = directory::table
        .find((kind.as_str(), key))
        .select((directory::tenant_id, directory::object_id))
        .first(connection)
        .optional()?;
    Ok(row.map(|(tenant, object)| (tenant.0, object.0)))
}

/// Inserts a key for an object of a tenant unless the key is taken. Returns whether it was free. Of two concurrent
/// claims, one waits here for the other's transaction, and then finds the key taken.
pub(super) fn claim(
    connection: &mut Connection,
    kind: Kind,
    key: &str,
    tenant: &TenantId,
    object: Uuid,
) -> QueryResult<bool> {
    let claimed = diesel::insert_into(directory::table)
        .values((
            directory::kind.eq(kind.as_str()),
            directory::key.eq(key),
            directory::tenant_id.eq(tenant.as_str()),
            directory::object_id.eq(Id(object)),
        ))
        .on_conflict((directory::kind, directory::key))
        .do_nothing()
        .execute(connection)?;
    Ok(claimed == 1)
}

/// Removes the key of an object of a tenant, which is free then.
pub(super) fn release(
    connection: &mut Connection,
    kind: Kind,
    key: &str,
    tenant: &TenantId,
    object: Uuid,
) -> QueryResult<()> {
    diesel::delete(directory::table.find((kind.as_str(), key)))
        .filter(directory::tenant_id.eq(tenant.as_str()))
        .filter(directory::object_id.eq(Id(object)))
        .execute(connection)
        .map(drop)
}

//! The directory: the one door from what is presented before a tenant is known to the tenant that it belongs to.

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use crate::columns::{Id, Word};
use crate::schema::directory;

/// What is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A user's address, which leads to the user.
    Email,
    /// The prefix of an API key, which leads to the key.
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

/// Whether nothing of a kind leads anywhere.
pub(super) fn is_empty(connection: &mut Connection, kind: Kind) -> QueryResult<bool> {
    let some = directory::table.filter(directory::kind.eq(kind.as_str()));
    diesel::select(not(exists(some))).get_result(connection)
}

/// Finds whose it is, and which object of theirs it leads to.
pub(super) fn find(connection: &mut Connection, kind: Kind, key: &str) -> QueryResult<Option<(TenantId, Uuid)>> {
    let row: Option<(Word<TenantId>, Id)> = directory::table
        .find((kind.as_str(), key))
        .select((directory::tenant_id, directory::object_id))
        .first(connection)
        .optional()?;
    Ok(row.map(|(tenant, object)| (tenant.0, object.0)))
}

/// Lets a key lead to an object of a tenant unless it leads somewhere already; tells whether it was free. Of two that
/// claim it at once, one waits here for the other's transaction, and then finds it taken.
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

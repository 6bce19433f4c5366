//! What an operator wants to know of a tenant's credentials.

use diesel::prelude::*;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::Connection;
use super::audit::count;
use crate::CredentialCounts;
use crate::columns::Instant;
use crate::schema::{api_keys, users};

/// Counts the credentials of a tenant: keys that are valid now and expire before `until`.
pub(super) fn credentials(
    connection: &mut Connection,
    tenant: &TenantId,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<CredentialCounts> {
    let hashes = users::table
        .filter(users::tenant_id.eq(tenant.as_str()))
        .filter(users::disabled_at.is_null())
        .select(users::password_hash);
    let mut counts = CredentialCounts::default();
    for hash in hashes.load::<String>(connection)? {
        let pepper = mass_auth::pepper_of(&hash).unwrap_or_default().to_owned();
        *counts.peppers.entry(pepper).or_default() += 1;
    }
    let expiring = api_keys::table
        .filter(api_keys::tenant_id.eq(tenant.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.gt(Instant(now)))
        .filter(api_keys::expires_at.lt(Instant(until)));
    counts.expiring_keys = count(expiring.count().get_result(connection)?);
    Ok(counts)
}

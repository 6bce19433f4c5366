//! The version of a tenant's credentials, which tells servers whether a cached principal is still the present one.
//!
//! A transaction that changes what a credential stands for (a user's address, roles or state, the end of a session, the end or the
//! rights of an API key, a second factor or its proof) advances the version. On one machine triggers do so as well for users, sessions
//! and keys, for older programs and for SQL by hand.

use diesel::prelude::*;
use mass_domain::tenancy::{CredentialsVersion, TenantId};

use super::Connection;
use crate::schema::tenants;

/// Reads the version of a tenant's credentials.
pub(super) fn version(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<CredentialsVersion>> {
    let version = tenants::table.find(tenant.as_str()).select(tenants::credentials_version).first(connection);
    Ok(version.optional()?.map(CredentialsVersion))
}

/// Advances the version of a tenant's credentials, in the transaction that changes them.
pub(super) fn advance(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    diesel::update(tenants::table.find(tenant.as_str()))
        .set(tenants::credentials_version.eq(tenants::credentials_version + 1))
        .execute(connection)?;
    Ok(())
}

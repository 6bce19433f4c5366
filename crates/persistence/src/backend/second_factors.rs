//! Second factors and recovery codes: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{FactorProof, FactorStore, ProvedFactor, StoredFactor};
use mass_domain::audit::NewEvent;
use mass_domain::ids::{SessionId, UserId};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::Head;
use super::factor_proofs::take;
use super::{Connection, Store, credentials, sessions};
use crate::columns::{Id, Instant};
use crate::schema::{recovery_codes, second_factors, sessions as session_rows, users};

#[async_trait]
impl FactorStore for Store {
    async fn find(&self, tenant: &TenantId, user: UserId) -> Result<Option<StoredFactor>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, user)).await
    }

    async fn begin(&self, tenant: &TenantId, user: UserId, sealed: Vec<u8>, at: Timestamp) -> Result<bool, PortError> {
        let begin = move |connection: &mut Connection, tenant: &TenantId| begin(connection, tenant, user, &sealed, at);
        self.writes.run_for(tenant, begin).await
    }

    async fn confirm(
        &self,
        tenant: &TenantId,
        proved: ProvedFactor,
        sealed: Vec<u8>,
        codes: Vec<[u8; 32]>,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        let confirm = move |connection: &mut Connection, tenant: &TenantId| {
            confirm(connection, tenant, proved, &sealed, &codes, event)
        };
        self.writes.run_for(tenant, confirm).await
    }

    async fn prove(&self, tenant: &TenantId, proved: ProvedFactor, event: NewEvent) -> Result<bool, PortError> {
        self.writes.run_for(tenant, move |connection, tenant| prove(connection, tenant, proved, event)).await
    }

    async fn replace_codes(
        &self,
        tenant: &TenantId,
        user: UserId,
        codes: Vec<[u8; 32]>,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        let replace = move |connection: &mut Connection, tenant: &TenantId| {
            replace_codes(connection, tenant, user, &codes, event)
        };
        self.writes.run_for(tenant, replace).await
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        user: UserId,
        kept: Option<SessionId>,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        self.writes.run_for(tenant, move |connection, tenant| remove(connection, tenant, user, kept, event)).await
    }
}

/// Finds a user's second factor.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, user: UserId) -> QueryResult<Option<StoredFactor>> {
    let found: Option<(Vec<u8>, bool, i64)> = second_factors::table
        .find((tenant.as_str(), Id(user.as_uuid())))
        .select((second_factors::sealed, second_factors::confirmed, second_factors::last_step))
        .first(connection)
        .optional()?;
    let Some((sealed, is_confirmed, last_step)) = found else { return Ok(None) };
    let codes: i64 = recovery_codes::table
        .filter(recovery_codes::tenant_id.eq(tenant.as_str()))
        .filter(recovery_codes::user_id.eq(Id(user.as_uuid())))
        .count()
        .get_result(connection)?;
    let recovery_codes = u32::try_from(codes).unwrap_or(u32::MAX);
    Ok(Some(StoredFactor { sealed, is_confirmed, last_step, recovery_codes }))
}

/// Stores a seed that waits to be confirmed.
pub(super) fn begin(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    sealed: &[u8],
    at: Timestamp,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let _head = Head::lock(connection, tenant)?;
        if find(connection, tenant, user)?.is_some_and(|stored| stored.is_confirmed) {
            return Ok(false);
        }
        erase(connection, tenant, user)?;
        diesel::insert_into(second_factors::table)
            .values((
                second_factors::tenant_id.eq(tenant.as_str()),
                second_factors::user_id.eq(Id(user.as_uuid())),
                second_factors::sealed.eq(sealed),
                second_factors::confirmed.eq(false),
                second_factors::last_step.eq(0),
                second_factors::created_at.eq(Instant(at)),
            ))
            .execute(connection)?;
        Ok(true)
    })
}

/// Confirms the seed that waits.
pub(super) fn confirm(
    connection: &mut Connection,
    tenant: &TenantId,
    proved: ProvedFactor,
    sealed: &[u8],
    codes: &[[u8; 32]],
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let FactorProof::Step(step) = proved.proof else { return Ok(false) };
        let confirmed = diesel::update(second_factors::table.find((tenant.as_str(), Id(proved.user.as_uuid()))))
            .filter(second_factors::confirmed.eq(false))
            .filter(second_factors::sealed.eq(sealed))
            .set((second_factors::confirmed.eq(true), second_factors::last_step.eq(step)))
            .execute(connection)?;
        if confirmed == 0 {
            return Ok(false);
        }
        insert_codes(connection, tenant, proved.user, codes)?;
        diesel::update(users::table.find((tenant.as_str(), Id(proved.user.as_uuid()))))
            .set((users::second_factor_at.eq(Instant(event.at)), users::updated_at.eq(Instant(event.at))))
            .execute(connection)?;
        sessions::end_others(connection, tenant, proved.user, Some(proved.session), event.at)?;
        mark(connection, tenant, proved.session, event.at)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

/// Takes a proof in a session.
pub(super) fn prove(
    connection: &mut Connection,
    tenant: &TenantId,
    proved: ProvedFactor,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if !take(connection, tenant, proved.user, proved.proof)? {
            return Ok(false);
        }
        mark(connection, tenant, proved.session, event.at)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

fn mark(connection: &mut Connection, tenant: &TenantId, session: SessionId, at: Timestamp) -> QueryResult<()> {
    diesel::update(session_rows::table.find((tenant.as_str(), Id(session.as_uuid()))))
        .set(session_rows::factor_at.eq(Instant(at)))
        .execute(connection)?;
    credentials::advance(connection, tenant)
}

fn insert_codes(connection: &mut Connection, tenant: &TenantId, user: UserId, codes: &[[u8; 32]]) -> QueryResult<()> {
    for code in codes {
        diesel::insert_into(recovery_codes::table)
            .values((
                recovery_codes::tenant_id.eq(tenant.as_str()),
                recovery_codes::user_id.eq(Id(user.as_uuid())),
                recovery_codes::hash.eq(code.as_slice()),
            ))
            .execute(connection)?;
    }
    Ok(())
}

/// Replaces the recovery codes.
pub(super) fn replace_codes(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    codes: &[[u8; 32]],
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if !find(connection, tenant, user)?.is_some_and(|stored| stored.is_confirmed) {
            return Ok(false);
        }
        erase_codes(connection, tenant, user)?;
        insert_codes(connection, tenant, user, codes)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

/// Removes the second factor, and ends the user's sessions but one.
pub(super) fn remove(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    kept: Option<SessionId>,
    event: NewEvent,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let was_confirmed = find(connection, tenant, user)?.is_some_and(|stored| stored.is_confirmed);
        if !was_confirmed {
            return Ok(false);
        }
        erase(connection, tenant, user)?;
        diesel::update(users::table.find((tenant.as_str(), Id(user.as_uuid()))))
            .set((users::second_factor_at.eq(None::<Instant>), users::updated_at.eq(Instant(event.at))))
            .execute(connection)?;
        sessions::end_others(connection, tenant, user, kept, event.at)?;
        credentials::advance(connection, tenant)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

/// Erases the second factor and the recovery codes of a user.
pub(super) fn erase(connection: &mut Connection, tenant: &TenantId, user: UserId) -> QueryResult<()> {
    erase_codes(connection, tenant, user)?;
    diesel::delete(second_factors::table.find((tenant.as_str(), Id(user.as_uuid())))).execute(connection)?;
    Ok(())
}

fn erase_codes(connection: &mut Connection, tenant: &TenantId, user: UserId) -> QueryResult<()> {
    let codes = recovery_codes::table.filter(recovery_codes::tenant_id.eq(tenant.as_str()));
    diesel::delete(codes.filter(recovery_codes::user_id.eq(Id(user.as_uuid())))).execute(connection)?;
    Ok(())
}

//! Sessions and their refresh tokens: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{
    NewSession, RefreshTokenHash, RefreshVerdict, Refreshed, Session, SessionStore, Versioned, judge_refresh,
};
use mass_domain::audit::{Act, NewEvent};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::User;

use super::audit::Head;
use super::{Connection, Store, accounts};
use crate::columns::{Id, Instant};
use crate::rows::{SessionRow, UserRow};
use crate::schema::{refresh_tokens, sessions, tenants, users as user_rows};

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, opening: NewSession, event: NewEvent) -> Result<bool, PortError> {
        let tenant = opening.session.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| open(connection, opening, event)).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<(Session, User)>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        act: Act,
    ) -> Result<Refreshed, PortError> {
        // A made-up token, whatever tenant it names, gets no turn to write and leaves nothing behind.
        let known = self.reads.read_for(tenant, move |connection, tenant| of_token(connection, tenant, presented));
        if known.await?.is_none() {
            return Ok(Refreshed::Refused);
        }
        self.writes.run_for(tenant, move |connection, tenant| refresh(connection, tenant, presented, next, &act)).await
    }

    async fn revoke(&self, tenant: &TenantId, id: SessionId, event: NewEvent) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| revoke(connection, tenant, id, event)).await
    }
}

/// Opens a session, if the proved password is still the user's.
pub(super) fn open(connection: &mut Connection, opening: NewSession, event: NewEvent) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let NewSession { session, refresh, proved, rehashed } = opening;
        let head = Head::lock(connection, &session.tenant_id)?;
        // This also locks the user's row: a change of password waits until the session is there to be ended.
        let password = rehashed.as_ref().unwrap_or(&proved);
        let unchanged =
            diesel::update(user_rows::table.find((session.tenant_id.as_str(), Id(session.user_id.as_uuid()))))
                .filter(user_rows::password_hash.eq(proved.as_str()))
                .set(user_rows::password_hash.eq(password.as_str()))
                .execute(connection)?;
        if unchanged == 0 {
            return Ok(false);
        }
        let (tenant, id, at) = (session.tenant_id.clone(), session.id, session.created_at);
        diesel::insert_into(sessions::table).values(SessionRow::from(session)).execute(connection)?;
        insert_token(connection, &tenant, id, refresh, at)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}

/// Finds a session and its user. One statement, so that the version is the one at which they were so.
pub(super) fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    id: SessionId,
) -> QueryResult<Option<Versioned<(Session, User)>>> {
    let user_of_session = user_rows::tenant_id.eq(sessions::tenant_id).and(user_rows::id.eq(sessions::user_id));
    let found: Option<(SessionRow, UserRow, i64)> = sessions::table
        .inner_join(user_rows::table.on(user_of_session))
        .inner_join(tenants::table.on(tenants::id.eq(sessions::tenant_id)))
        .filter(sessions::tenant_id.eq(tenant.as_str()))
        .filter(sessions::id.eq(Id(id.as_uuid())))
        .select((SessionRow::as_select(), UserRow::as_select(), tenants::credentials_version))
        .first(connection)
        .optional()?;
    let Some((session, user, version)) = found else { return Ok(None) };
    let found = (session.into_session(), user.into_account()?.user);
    Ok(Some(Versioned { found, version: CredentialsVersion(version) }))
}

/// Finds the session of a refresh token; `None` if the token was never issued or has been purged.
pub(super) fn of_token(
    connection: &mut Connection,
    tenant: &TenantId,
    presented: RefreshTokenHash,
) -> QueryResult<Option<Id>> {
    let token = refresh_tokens::table.find((tenant.as_str(), presented.as_bytes().as_slice()));
    token.select(refresh_tokens::session_id).first(connection).optional()
}

/// Rotates a refresh token, or ends its session if the token was used before.
pub(super) fn refresh(
    connection: &mut Connection,
    tenant: &TenantId,
    presented: RefreshTokenHash,
    next: RefreshTokenHash,
    act: &Act,
) -> QueryResult<Refreshed> {
    super::write(connection, |connection| {
        let at = act.at;
        let token = || refresh_tokens::table.find((tenant.as_str(), presented.as_bytes().as_slice()));
        let Some(id) = of_token(connection, tenant, presented)? else { return Ok(Refreshed::Refused) };
        let head = Head::lock(connection, tenant)?;
        let Some(session) = super::lock_session(connection, tenant, id)? else {
            return Ok(Refreshed::Refused);
        };
        let session = session.into_session();
        // Read with the session locked: an earlier call has spent the token by now.
        let spent = token().select(refresh_tokens::spent_at.is_not_null()).first(connection)?;
        let user = accounts::find(connection, tenant, session.user_id)?;
        let disabled = user.is_none_or(|user| user.disabled_at.is_some());
        match judge_refresh(&session, spent, disabled, at) {
            RefreshVerdict::Rotate { expires_at } => {
                diesel::update(token()).set(refresh_tokens::spent_at.eq(Instant(at))).execute(connection)?;
                insert_token(connection, tenant, session.id, next, at)?;
                diesel::update(sessions::table.find((tenant.as_str(), Id(session.id.as_uuid()))))
                    .set(sessions::expires_at.eq(Instant(expires_at)))
                    .execute(connection)?;
                Ok(Refreshed::Rotated(Session { expires_at, ..session }))
            }
            RefreshVerdict::Revoke => {
                end(connection, tenant, session.id, at)?;
                head.append(connection, [session.revoked_by(act)])?;
                Ok(Refreshed::Revoked(session.id))
            }
            RefreshVerdict::Refuse => Ok(Refreshed::Refused),
        }
    })
}

fn insert_token(
    connection: &mut Connection,
    tenant: &TenantId,
    session: SessionId,
    hash: RefreshTokenHash,
    at: Timestamp,
) -> QueryResult<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::tenant_id.eq(tenant.as_str()),
            refresh_tokens::hash.eq(hash.as_bytes().as_slice()),
            refresh_tokens::session_id.eq(Id(session.as_uuid())),
            refresh_tokens::created_at.eq(Instant(at)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Ends a session that has not ended yet.
pub(super) fn revoke(
    connection: &mut Connection,
    tenant: &TenantId,
    id: SessionId,
    event: NewEvent,
) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if end(connection, tenant, id, event.at)? {
            head.append(connection, [event])?;
        }
        Ok(())
    })
}

/// Ends a session. Returns whether it had not ended yet.
fn end(connection: &mut Connection, tenant: &TenantId, id: SessionId, at: Timestamp) -> QueryResult<bool> {
    let ended = diesel::update(sessions::table.find((tenant.as_str(), Id(id.as_uuid()))))
        .filter(sessions::revoked_at.is_null())
        .set(sessions::revoked_at.eq(Instant(at)))
        .execute(connection)?;
    Ok(ended == 1)
}

/// Ends all sessions of a user but one.
pub(super) fn end_others(
    connection: &mut Connection,
    tenant: &TenantId,
    user: UserId,
    kept: Option<SessionId>,
    at: Timestamp,
) -> QueryResult<()> {
    let kept: Vec<_> = kept.iter().map(|kept| Id(kept.as_uuid())).collect();
    diesel::update(sessions::table)
        .filter(sessions::tenant_id.eq(tenant.as_str()))
        .filter(sessions::user_id.eq(Id(user.as_uuid())))
        .filter(sessions::id.ne_all(kept))
        .filter(sessions::revoked_at.is_null())
        .set(sessions::revoked_at.eq(Instant(at)))
        .execute(connection)?;
    Ok(())
}

/// Deletes sessions that ended before the instant, with their refresh tokens. Returns their number.
pub(super) fn purge(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let over =
            sessions::expires_at.lt(Instant(before)).or(sessions::revoked_at.lt(Instant(before)).assume_not_null());
        let of_tenant = sessions::table.filter(sessions::tenant_id.eq(tenant.as_str()));
        diesel::delete(of_tenant.filter(over)).execute(connection)
    })
}

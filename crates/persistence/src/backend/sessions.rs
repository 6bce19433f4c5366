//! Sessions and their refresh tokens: what the port's methods do in their transactions.

use diesel::prelude::*;
use mass_auth::{NewSession, RefreshTokenHash, RefreshVerdict, Refreshed, Session, Versioned, judge_refresh};
use mass_domain::audit::{Act, NewEvent};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::User;

use super::audit::Head;
use super::{Connection, users};
use crate::columns::{Id, Instant};
use crate::rows::{SessionRow, UserRow};
use crate::schema::{refresh_tokens, sessions, tenants, users as user_rows};

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

/// The session of a refresh token; `None` if MASS made no such token, or has forgotten it.
pub(super) fn of_token(
    connection: &mut Connection,
    tenant: &TenantId,
    presented: RefreshTokenHash,
) -> QueryResult<Option<Id>> {
    let token = refresh_tokens::table.find((tenant.as_str(), presented.as_bytes().as_slice()));
    token.select(refresh_tokens::session_id).first(connection).optional()
}

/// Does what is due with the session of a refresh token.
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
        // Only now, with the session locked: whoever came first has spent the token by this time.
        let spent = token().select(refresh_tokens::spent_at.is_not_null()).first(connection)?;
        let user = users::find(connection, tenant, session.user_id)?;
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

/// Ends a session; tells whether it had not ended yet.
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

/// Forgets sessions that ended before the instant, with their refresh tokens; tells how many they were.
pub(super) fn purge(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let over =
            sessions::expires_at.lt(Instant(before)).or(sessions::revoked_at.lt(Instant(before)).assume_not_null());
        let of_tenant = sessions::table.filter(sessions::tenant_id.eq(tenant.as_str()));
        diesel::delete(of_tenant.filter(over)).execute(connection)
    })
}

//! Sessions and their refresh tokens: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{
    FoundSession, NewSession, Opened, RefreshTokenHash, RefreshVerdict, Refreshed, Session, SessionStore, Versioned,
    judge_refresh,
};
use mass_domain::audit::{Act, NewEvent};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId, TenantSettings};
use mass_domain::time::Timestamp;

use super::audit::Head;
use super::{Connection, Store, accounts, credentials, factor_proofs, tenants};
use crate::columns::{Id, Instant};
use crate::rows::{SessionRow, UserRow};
use crate::schema::{refresh_tokens, sessions, tenants as tenant_rows, users as user_rows};

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, opening: NewSession, event: NewEvent) -> Result<Opened, PortError> {
        let tenant = opening.session.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| open(connection, opening, event)).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<FoundSession>>, PortError> {
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

    async fn list(
        &self,
        tenant: &TenantId,
        user: Option<UserId>,
        before: Option<SessionId>,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Vec<Session>, PortError> {
        let list =
            move |connection: &mut Connection, tenant: &TenantId| list(connection, tenant, user, now, before, limit);
        self.reads.read_for(tenant, list).await
    }

    async fn revoke(&self, tenant: &TenantId, id: SessionId, event: NewEvent) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| revoke(connection, tenant, id, event)).await
    }
}

/// Opens a session, if the proved password is still the user's.
pub(super) fn open(connection: &mut Connection, opening: NewSession, event: NewEvent) -> QueryResult<Opened> {
    super::write(connection, |connection| {
        let NewSession { session, refresh, proved, rehashed, factor } = opening;
        let head = Head::lock(connection, &session.tenant_id)?;
        if tenants::is_suspended(connection, &session.tenant_id)? {
            return Ok(Opened::Suspended);
        }
        // This also locks the user's row: a change of password waits until the session is there to be ended.
        let password = rehashed.as_ref().unwrap_or(&proved);
        let unchanged =
            diesel::update(user_rows::table.find((session.tenant_id.as_str(), Id(session.user_id.as_uuid()))))
                .filter(user_rows::password_hash.eq(proved.as_str()))
                .set(user_rows::password_hash.eq(password.as_str()))
                .execute(connection)?;
        if unchanged == 0 {
            return Ok(Opened::Stale);
        }
        let (tenant, id, at) = (session.tenant_id.clone(), session.id, session.created_at);
        if !factor_proofs::admit(connection, &tenant, session.user_id, factor)? {
            return Ok(Opened::Stale);
        }
        diesel::insert_into(sessions::table).values(SessionRow::from(session)).execute(connection)?;
        insert_token(connection, &tenant, id, refresh, at)?;
        head.append(connection, [event])?;
        Ok(Opened::Open)
    })
}

/// The version of a tenant's credentials, whether it is suspended, and whether it demands a second factor.
type OfTenant = (i64, bool, Option<bool>);

/// Finds a session and its user. One statement, so that the version is the one at which they were so.
pub(super) fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    id: SessionId,
) -> QueryResult<Option<Versioned<FoundSession>>> {
    let user_of_session = user_rows::tenant_id.eq(sessions::tenant_id).and(user_rows::id.eq(sessions::user_id));
    let found: Option<(SessionRow, UserRow, OfTenant)> = sessions::table
        .inner_join(user_rows::table.on(user_of_session))
        .inner_join(tenant_rows::table.on(tenant_rows::id.eq(sessions::tenant_id)))
        .filter(sessions::tenant_id.eq(tenant.as_str()))
        .filter(sessions::id.eq(Id(id.as_uuid())))
        .select((
            SessionRow::as_select(),
            UserRow::as_select(),
            (tenant_rows::credentials_version, tenant_rows::suspended_at.is_not_null(), tenant_rows::second_factor),
        ))
        .first(connection)
        .optional()?;
    let Some((session, user, (version, is_suspended, demanded))) = found else { return Ok(None) };
    let settings = TenantSettings { second_factor: demanded, ..TenantSettings::default() };
    let found = FoundSession {
        session: session.into_session(),
        user: user.into_account()?.user,
        demands_factor: settings.demands_second_factor(),
    };
    Ok(Some(Versioned { found, version: CredentialsVersion(version), is_suspended }))
}

/// Lists live sessions, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    user: Option<UserId>,
    at: Timestamp,
    before: Option<SessionId>,
    limit: Limit,
) -> QueryResult<Vec<Session>> {
    let mut query = sessions::table
        .filter(sessions::tenant_id.eq(tenant.as_str()))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(Instant(at)))
        .select(SessionRow::as_select())
        .order(sessions::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(user) = user {
        query = query.filter(sessions::user_id.eq(Id(user.as_uuid())));
    }
    if let Some(before) = before {
        query = query.filter(sessions::id.lt(Id(before.as_uuid())));
    }
    Ok(query.load(connection)?.into_iter().map(SessionRow::into_session).collect())
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
            RefreshVerdict::Rotate { .. } if tenants::is_suspended(connection, tenant)? => Ok(Refreshed::Suspended),
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
    credentials::advance(connection, tenant)?;
    Ok(ended == 1)
}

/// Ends all sessions of a user but one. The caller advances the version of the tenant's credentials.
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

/// Deletes sessions that ended before the instant, with their refresh tokens. Returns their number. No credential stands for
/// anything else afterwards.
pub(super) fn purge(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let over =
            sessions::expires_at.lt(Instant(before)).or(sessions::revoked_at.lt(Instant(before)).assume_not_null());
        let of_tenant = sessions::table.filter(sessions::tenant_id.eq(tenant.as_str()));
        diesel::delete(of_tenant.filter(over)).execute(connection)
    })
}

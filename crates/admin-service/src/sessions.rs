//! The sessions of all users of a tenant, for its administrators.

use mass_auth::Session;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::ids::{SessionId, UserId};
use mass_domain::page::{CursorScope, ForeignCursor, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;
use mass_domain::users::User;

use crate::AdminService;
use crate::read::ListQuery;

/// Reason why sessions are not listed or ended.
#[derive(Debug, thiserror::Error)]
pub enum TenantSessionError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// There is no such live session among those that the caller may end.
    #[error("the session does not exist, or has ended")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// Returns a page of the live sessions of the caller's tenant, or of one of its users, newest first.
    ///
    /// # Errors
    /// [`TenantSessionError`], but never [`TenantSessionError::NotFound`].
    pub async fn sessions(
        &self,
        principal: &Principal,
        user: Option<UserId>,
        query: &ListQuery,
    ) -> Result<Page<Session>, TenantSessionError> {
        principal.require(Permission::UsersManage)?;
        let of_user = user.map(|user| user.to_string());
        let scope = CursorScope::of("tenant_sessions", [Some(principal.tenant().as_str()), of_user.as_deref()]);
        let before = query.last_seen(scope)?.map(SessionId::from_uuid);
        let rows = self.stores.sessions.list(principal.tenant(), user, before, query.limit, self.clock.now()).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// Ends a session of a user of the caller's tenant.
    ///
    /// # Errors
    /// [`TenantSessionError`]; [`TenantSessionError::Forbidden`] if the user may do more than the caller could grant.
    pub async fn end_session(
        &self,
        principal: &Principal,
        id: SessionId,
        origin: &Origin,
    ) -> Result<(), TenantSessionError> {
        principal.require(Permission::UsersManage)?;
        let (session, user) = self.live_session(principal.tenant(), id).await?;
        principal.require_authority_over(&user.roles)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        Ok(self.stores.sessions.revoke(principal.tenant(), id, session.revoked_by(&act)).await?)
    }

    async fn live_session(&self, tenant: &TenantId, id: SessionId) -> Result<(Session, User), TenantSessionError> {
        let found = self
            .stores
            .sessions
            .find(tenant, id)
            .await?
            .map(|versioned| (versioned.found.session, versioned.found.user));
        found.filter(|(session, _)| session.is_live(self.clock.now())).ok_or(TenantSessionError::NotFound)
    }
}

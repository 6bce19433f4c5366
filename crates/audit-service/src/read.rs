//! Paged reading of events.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Action, Event, Outcome};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;

use crate::{AuditService, EventFilter};

/// The reasons for which no events are returned.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A query for a page of events.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// The filter.
    pub filter: EventFilter,
    /// The maximum number of events.
    pub limit: Limit,
    /// The cursor of the previous page.
    pub cursor: Option<String>,
}

impl AuditService {
    /// Returns a page of the tenant's events, newest first, without archived ones.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn events(&self, principal: &Principal, query: &EventQuery) -> Result<Page<Event>, ReadError> {
        principal.require(Permission::AuditRead)?;
        let scope = scope(principal, &query.filter);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let rows = self.store.list(principal.tenant(), &query.filter, before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.sequence))
    }
}

fn scope(principal: &Principal, filter: &EventFilter) -> CursorScope {
    let EventFilter { actor_kind, actor_id, action, outcome, object, from, to } = filter;
    let actor_id = actor_id.map(|id| id.to_string());
    let times = [from, to].map(|time| time.map(|time| time.to_string()));
    let object_id = object.as_ref().and_then(|object| object.id());
    let filters = [
        Some(principal.tenant().as_str()),
        actor_kind.as_deref(),
        actor_id.as_deref(),
        action.map(Action::as_str),
        outcome.map(Outcome::as_str),
        object.as_ref().map(|object| object.kind()),
        object_id.as_deref(),
    ];
    CursorScope::of("audit-events", filters.into_iter().chain(times.iter().map(Option::as_deref)))
}

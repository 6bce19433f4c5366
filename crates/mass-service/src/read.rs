//! Reading requests: one, a page, the events of one.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Event;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestFilter, RequestSummary};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor, encode_cursor};
use mass_domain::port::PortError;
use mass_domain::tenancy::CredentialsVersion;

use crate::MassService;
use crate::store::{DocumentPage, Found};

/// Reason for which nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The caller's tenant has no such request.
    #[error("no such request")]
    NotFound,
    /// The request has been deleted.
    #[error("the request has been deleted")]
    Gone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The most bytes that the documents of a page of a list have together. A page with one request may have more.
pub const PAGE_BYTES: u64 = 4 << 20;

/// A page of a list of requests.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// The filter.
    pub filter: RequestFilter,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
}

impl MassService {
    /// Gets a request.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn get(&self, principal: &Principal, id: MassRequestId) -> Result<MassRequest, ReadError> {
        principal.require(Permission::MassRead)?;
        present(self.store.find(principal.tenant(), id).await?)
    }

    /// Gets a request if the credentials of the caller's tenant are at this version in the same transaction. Returns
    /// `None` if they are not, or if there is no such request.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_as_of(
        &self,
        version: CredentialsVersion,
        principal: &Principal,
        id: MassRequestId,
    ) -> Result<Option<MassRequest>, ReadError> {
        principal.require(Permission::MassRead)?;
        self.store.find_as_of(principal.tenant(), version, id).await?.map(present).transpose()
    }

    /// Lists a page of requests, newest first.
    ///
    /// # Errors
    /// [`ReadError::Forbidden`], [`ReadError::ForeignCursor`] or [`ReadError::Store`].
    pub async fn list(&self, principal: &Principal, query: &ListQuery) -> Result<Page<RequestSummary>, ReadError> {
        principal.require(Permission::MassRead)?;
        let scope = scope(principal, &query.filter);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(MassRequestId::from_uuid);
        let rows = self.store.list(principal.tenant(), &query.filter, before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// Lists a page of requests with their documents, newest first. The page ends before its documents exceed
    /// [`PAGE_BYTES`].
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_documents(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<MassRequest>, ReadError> {
        principal.require(Permission::MassRead)?;
        let scope = scope(principal, &query.filter);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(MassRequestId::from_uuid);
        let (tenant, filter) = (principal.tenant(), &query.filter);
        let page = self.store.list_documents(tenant, filter, before, query.limit, PAGE_BYTES).await?;
        let DocumentPage { requests: items, more } = page;
        let next_cursor = items.last().filter(|_| more).map(|last| encode_cursor(scope, &last.summary.id.as_uuid()));
        Ok(Page { items, next_cursor })
    }

    /// Lists the events of a request, in their order.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn events(&self, principal: &Principal, id: MassRequestId) -> Result<Vec<Event>, ReadError> {
        principal.require(Permission::MassRead)?;
        present(self.store.list_events(principal.tenant(), id).await?)
    }
}

/// Turns the result of a look-up into an object or an error.
pub(crate) fn present<T>(found: Found<T>) -> Result<T, ReadError> {
    match found {
        Found::Present(value) => Ok(value),
        Found::Deleted => Err(ReadError::Gone),
        Found::Absent => Err(ReadError::NotFound),
    }
}

fn scope(principal: &Principal, filter: &RequestFilter) -> CursorScope {
    let conditions = filter.conditions();
    let values = conditions.iter().map(|(_, value)| value.as_deref());
    CursorScope::of("mass-requests", std::iter::once(Some(principal.tenant().as_str())).chain(values))
}

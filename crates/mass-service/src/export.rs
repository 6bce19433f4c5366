//! Exporting requests with their documents: all that match a filter and were stored when it began, page by page.

use std::sync::Arc;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use tokio::task::JoinSet;

use crate::MassService;
use crate::store::{ExportPage, ExportSpan, ExportedRequest, MassStore};

/// The most bytes that the documents of a page have together. A page with one request may have more.
const PAGE_BYTES: u64 = 256 << 10;

/// The most requests of a page.
const MOST_REQUESTS: u64 = 1000;

/// The number of requests that the first page asks for, whose size is not known yet.
const FIRST_REQUESTS: u64 = 50;

/// Reason for which no export begins.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The caller may not read requests.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// An export under way. It ends when this is dropped.
pub struct Export {
    store: Arc<dyn MassStore>,
    tenant: TenantId,
    filter: Arc<RequestFilter>,
    until: MassRequestId,
    /// The page that is read while the one before it is written; none after the last.
    reading: JoinSet<Result<ExportPage, PortError>>,
}

impl MassService {
    /// Begins to export the requests of the caller's tenant that match the filter, oldest first: those up to the
    /// newest that is stored now. Each page is read by itself, so that an export holds no snapshot of the database for
    /// longer than a page takes, however slowly it is taken. A request that is deleted before its page is read is left
    /// out.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, principal: &Principal, filter: RequestFilter) -> Result<Export, ExportError> {
        principal.require(Permission::MassRead)?;
        let tenant = principal.tenant().clone();
        let newest = self.store.newest(&tenant).await?;
        let mut export = Export {
            store: Arc::clone(&self.store),
            tenant,
            filter: Arc::new(filter),
            until: newest.unwrap_or_else(|| MassRequestId::from_uuid(uuid::Uuid::nil())),
            reading: JoinSet::new(),
        };
        if newest.is_some() {
            export.read(None, FIRST_REQUESTS);
        }
        Ok(export)
    }
}

impl Export {
    /// Returns the next requests, or `None` after the last ones.
    ///
    /// # Errors
    /// [`PortError`]; nothing follows it.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportedRequest>>, PortError> {
        let Some(read) = self.reading.join_next().await else { return Ok(None) };
        let page = read.map_err(|error| PortError::Unexpected(error.into()))??;
        let Some(last) = page.requests.last() else { return Ok(None) };
        if page.more {
            self.read(Some(last.request.summary.id), requests_after(&page.requests));
        }
        Ok(Some(page.requests))
    }

    /// Begins to read a page.
    fn read(&mut self, after: Option<MassRequestId>, requests: u64) {
        let (store, tenant, filter) = (Arc::clone(&self.store), self.tenant.clone(), Arc::clone(&self.filter));
        let span = ExportSpan { after, until: self.until, requests, bytes: PAGE_BYTES };
        self.reading.spawn(async move { store.export(&tenant, &filter, span).await });
    }
}

/// Returns the number of requests to ask for after a page: as many of its size as fit, so that few are read in vain.
fn requests_after(page: &[ExportedRequest]) -> u64 {
    let bytes: usize = page.iter().map(|exported| exported.request.document.len()).sum();
    let (requests, bytes) = (page.len() as u64, bytes as u64);
    (requests * PAGE_BYTES / bytes.max(1)).clamp(1, MOST_REQUESTS)
}

//! Exporting requests with their documents: all that match a filter, from one snapshot.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::poll_fn;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::mass_request::{MassRequest, RequestFilter};
use mass_domain::port::PortError;
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::mpsc;

use crate::MassService;

/// The most bytes that the documents of a page have together. A page with one request may have more.
const PAGE_BYTES: u64 = 256 << 10;

/// The time that an export may take, in seconds. Until its end, the database keeps what has been deleted or replaced
/// since its beginning.
const LIMIT_SECONDS: i64 = 3600;

/// A request as it is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRequest {
    /// The request.
    pub request: MassRequest,
    /// The natural key of its document. `simple/1.0` has none.
    pub natural_key: Option<String>,
}

/// Reason for which an export ends early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It has taken too long.
    #[error("an export takes at most {LIMIT_SECONDS} seconds")]
    TooLong,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

type Reading = Pin<Box<dyn Future<Output = Result<(), PortError>> + Send>>;

/// An export under way. It ends when this is dropped.
pub struct Export {
    /// The work of the store, until it is done.
    reading: Option<Reading>,
    pages: mpsc::Receiver<Vec<ExportedRequest>>,
    clock: Arc<dyn Clock>,
    until: Timestamp,
}

impl MassService {
    /// Begins to export the requests of the caller's tenant that match the filter, oldest first. All of them are read
    /// from one snapshot, which the first call of [`Export::next`] takes.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn export(&self, principal: &Principal, filter: RequestFilter) -> Result<Export, Forbidden> {
        principal.require(Permission::MassRead)?;
        let (store, tenant) = (Arc::clone(&self.store), principal.tenant().clone());
        let (sender, pages) = mpsc::channel(1);
        let reading = async move { store.export(&tenant, &filter, PAGE_BYTES, sender).await };
        let now = self.clock.now();
        let until = now.plus_seconds(LIMIT_SECONDS).unwrap_or(now);
        Ok(Export { reading: Some(Box::pin(reading)), pages, clock: Arc::clone(&self.clock), until })
    }
}

impl Export {
    /// Returns the next requests, or `None` after the last ones.
    ///
    /// # Errors
    /// [`ExportError`]; nothing follows it.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportedRequest>>, ExportError> {
        if self.clock.now() > self.until {
            return Err(ExportError::TooLong);
        }
        let Self { reading, pages, .. } = self;
        poll_fn(|context| {
            if let Some(work) = reading
                && let Poll::Ready(done) = work.as_mut().poll(context)
            {
                *reading = None;
                if let Err(error) = done {
                    return Poll::Ready(Err(error.into()));
                }
            }
            pages.poll_recv(context).map(Ok)
        })
        .await
    }
}

//! Answers, each with the prefix of the audit log that it is computed from.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::poll_fn;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::AnalyticsService;
use crate::store::{Job, Position, Snapshot};

/// The time that a streamed answer may take, in seconds. Until its end, the database keeps what has been deleted or
/// replaced since its beginning.
const LIMIT_SECONDS: i64 = 600;

/// An answer, computed from one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The position of the projection in the snapshot.
    pub as_of: Position,
    /// The content.
    pub data: T,
}

/// Error for a stream that has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer takes at most {LIMIT_SECONDS} seconds")]
pub struct TooSlow;

/// Reason for which the work on a snapshot ends early.
pub(crate) enum Halt<E> {
    /// The reader has gone.
    Unwanted,
    /// It failed.
    Failed(E),
}

impl<E: From<PortError>> From<PortError> for Halt<E> {
    fn from(error: PortError) -> Self {
        Self::Failed(error.into())
    }
}

enum Message<H, P, E> {
    Head(Position, H),
    Page(P),
    Failed(E),
}

/// Where the work on a snapshot puts its pages.
pub(crate) struct Output<H, P, E>(mpsc::Sender<Message<H, P, E>>);

impl<H, P, E> Output<H, P, E> {
    /// Sends the head, which comes before all pages.
    pub(crate) fn head(&self, as_of: Position, head: H) -> Result<(), Halt<E>> {
        self.send(Message::Head(as_of, head))
    }

    /// Sends a page. Waits until the one before has been read.
    pub(crate) fn page(&self, page: P) -> Result<(), Halt<E>> {
        self.send(Message::Page(page))
    }

    fn send(&self, message: Message<H, P, E>) -> Result<(), Halt<E>> {
        self.0.blocking_send(message).map_err(|_| Halt::Unwanted)
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<(), PortError>> + Send>>;

/// An answer in pages of bounded size, all computed from one snapshot. It ends when this is dropped.
pub struct AnswerStream<H, P, E> {
    /// The position of the projection in the snapshot.
    pub as_of: Position,
    /// The part that comes before the first page.
    pub head: H,
    source: Source<H, P, E>,
}

struct Source<H, P, E> {
    /// The work of the store, until it is done.
    reading: Option<Reading>,
    messages: mpsc::Receiver<Message<H, P, E>>,
    clock: Arc<dyn Clock>,
    until: Timestamp,
}

impl<H, P, E: From<PortError> + From<TooSlow>> AnswerStream<H, P, E> {
    /// Returns the next page, or `None` after the last one.
    ///
    /// # Errors
    /// The store's, or [`TooSlow`]; nothing follows it.
    pub async fn next(&mut self) -> Result<Option<P>, E> {
        match self.source.next().await? {
            Some(Message::Page(page)) => Ok(Some(page)),
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Head(..)) | None => Ok(None),
        }
    }
}

impl<H, P, E: From<PortError> + From<TooSlow>> Source<H, P, E> {
    async fn next(&mut self) -> Result<Option<Message<H, P, E>>, E> {
        if self.clock.now() > self.until {
            return Err(TooSlow.into());
        }
        let Self { reading, messages, .. } = self;
        poll_fn(|context| {
            if let Some(work) = reading
                && let Poll::Ready(done) = work.as_mut().poll(context)
            {
                *reading = None;
                if let Err(error) = done {
                    return Poll::Ready(Err(error.into()));
                }
            }
            messages.poll_recv(context).map(Ok)
        })
        .await
    }
}

impl AnalyticsService {
    /// Computes an answer from one snapshot.
    pub(crate) async fn answer<T, E>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut dyn Snapshot) -> Result<T, E> + Send + 'static,
    ) -> Result<Answer<T>, E>
    where
        T: Send + 'static,
        E: From<PortError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |snapshot| {
            let as_of = snapshot.position()?;
            // Nobody waits any more if it cannot be sent.
            let _ = sender.send(work(snapshot).map(|data| Answer { as_of, data }));
            Ok(())
        });
        self.store.read(tenant, job).await?;
        receiver.await.map_err(|_| unanswered())?
    }

    /// Begins to compute an answer in pages. Returns when its head is known.
    pub(crate) async fn stream<H, P, E>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut dyn Snapshot, &Output<H, P, E>) -> Result<(), Halt<E>> + Send + 'static,
    ) -> Result<AnswerStream<H, P, E>, E>
    where
        H: Send + 'static,
        P: Send + 'static,
        E: From<PortError> + From<TooSlow> + Send + 'static,
    {
        let (sender, messages) = mpsc::channel(1);
        let job: Job = Box::new(move |snapshot| {
            let output = Output(sender);
            if let Err(Halt::Failed(error)) = work(snapshot, &output) {
                let _ = output.send(Message::Failed(error));
            }
            Ok(())
        });
        let (store, tenant) = (Arc::clone(&self.store), tenant.clone());
        let reading: Reading = Box::pin(async move { store.read(&tenant, job).await });
        let now = self.clock.now();
        let until = now.plus_seconds(LIMIT_SECONDS).unwrap_or(now);
        let mut source = Source { reading: Some(reading), messages, clock: Arc::clone(&self.clock), until };
        match source.next().await? {
            Some(Message::Head(as_of, head)) => Ok(AnswerStream { as_of, head, source }),
            Some(Message::Failed(error)) => Err(error),
            Some(Message::Page(_)) | None => Err(unanswered().into()),
        }
    }
}

/// Returns the error for a store that did not run its job to the end.
fn unanswered() -> PortError {
    PortError::Unexpected(anyhow::anyhow!("the store has dropped a job"))
}

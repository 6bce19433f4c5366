//! Group commit: calls of one tenant that wait at the same time share a transaction.
//!
//! A tenant's writes are serial, and each transaction ends by waiting for the disk. Calls that arrive while another one of
//! their tenant commits are collected and committed together next. Under load the disk is waited for once per group instead
//! of once per call; a single call does not wait.
//!
//! Where a database can flush apart from the commit, the next group runs while the last one is flushed ([`crate::flush`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use diesel::QueryResult;
use mass_domain::audit::NewEvent;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::trace::SPANS;
use mass_service::{Submission, SubmissionResults};
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::connections::{Connections, TenantConnection, Walled};
use crate::flush::{Flush, FlushAfter, Flusher, LastEvent};
use crate::foresight::{Foresight, LogAdvance};
use crate::load::CommitObserver;

/// The number of documents in a transaction. A call with more has a transaction of its own.
const GROUP_SIZE: usize = 1000;

/// The number of groups, of [`GROUP_SIZE`] documents together, that one thread commits before other writes get a turn. To
/// wake another thread takes as long as a small group.
const GROUPS_IN_A_ROW: usize = 16;

/// The number of documents of a tenant that may wait. Beyond it the database does not keep up, and more would wait in vain.
const QUEUE_SIZE: usize = 20_000;

/// Documents of one transaction.
#[derive(Clone, Copy)]
pub(crate) struct Documents<'a> {
    /// Valid documents.
    pub(crate) submissions: &'a [Submission],
    /// The events of calls that were refused documents.
    pub(crate) refused: &'a [NewEvent],
    /// The version of the tenant's credentials that their callers were authenticated at, unless it does not matter.
    pub(crate) as_of: Option<CredentialsVersion>,
    /// The time of the flush, where it can be apart from the commit.
    pub(crate) flush: Flush,
}

/// The result of a transaction.
pub(crate) struct Committed {
    /// The results of the submissions, in their order.
    pub(crate) results: SubmissionResults,
    /// The last event, if nobody may be told before a later flush.
    pub(crate) unflushed: Option<LastEvent>,
}

impl Documents<'_> {
    /// Tells whether the documents may be stored while the credentials are at this version.
    pub(crate) fn may_come_at(&self, version: CredentialsVersion) -> bool {
        self.as_of.is_none_or(|as_of| as_of == version)
    }
}

/// The transaction of a group.
type CommitDocuments<C> = fn(&mut C, &TenantId, Documents<'_>, &mut Foresight) -> QueryResult<Option<Committed>>;

/// The means to flush apart from commits, where a database has them.
pub(crate) struct FlushLater<C: Walled> {
    /// Connections for flushes alone.
    pub(crate) connections: Arc<Connections<C>>,
    pub(crate) flush_after: FlushAfter<C>,
}

/// The answer to a call.
type Answer = Result<Option<SubmissionResults>, PortError>;

/// Stores the documents of many calls in few transactions.
pub(crate) struct GroupCommit<C: Walled> {
    writes: Arc<Connections<C>>,
    commit_documents: CommitDocuments<C>,
    flush_later: Option<FlushLater<C>>,
    observer: Arc<dyn CommitObserver>,
    queues: Mutex<HashMap<TenantId, Arc<Queue<C>>>>,
}

impl<C: Walled> GroupCommit<C> {
    /// Commits on these connections, and tells the observer of each commit.
    pub(crate) fn new(
        writes: Arc<Connections<C>>,
        commit_documents: CommitDocuments<C>,
        flush_later: Option<FlushLater<C>>,
        observer: Arc<dyn CommitObserver>,
    ) -> Self {
        Self { writes, commit_documents, flush_later, observer, queues: Mutex::default() }
    }

    /// Returns the connections for flushes, where a database has them.
    pub(crate) fn flushes(&self) -> Option<&Connections<C>> {
        self.flush_later.as_ref().map(|later| &*later.connections)
    }

    /// Returns the number of waiting documents, over all tenants.
    pub(crate) fn waiting(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |queue: &Arc<Queue<C>>| queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).documents;
        queues.values().map(waiting).sum()
    }

    /// Stores submissions and the events of refused documents, in their order and in one transaction. Stores nothing and
    /// returns `None` if `as_of` is another version than that of the tenant's credentials.
    pub(crate) async fn submit(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
        as_of: Option<CredentialsVersion>,
    ) -> Answer {
        let queue = self.queue_of(tenant);
        let documents = submissions.len() + refused.len();
        let span = tracing::info_span!(target: SPANS, "group commit", mass.documents = documents);
        let mut answer = queue.enqueue(submissions, refused, as_of, span.clone())?;
        let waited = self.writes.longest();
        let answered = async {
            loop {
                tokio::select! {
                    biased;
                    answered = &mut answer => return told(answered),
                    turn = Arc::clone(&queue.turn).lock_owned() => {
                        if queue.is_empty() {
                            // This call is committed, and waits for its flush.
                            drop(turn);
                            return told((&mut answer).await);
                        }
                        tokio::select! {
                            biased;
                            // The leading call waits for its own group, and not for those that it commits afterwards.
                            answered = &mut answer => return told(answered),
                            () = self.commit_next(&queue, turn) => {}
                        }
                    }
                }
            }
        };
        match timeout(waited, answered).instrument(span).await {
            Ok(answer) => answer,
            Err(_) => {
                let error = PortError::Unavailable(anyhow!("tenant {tenant} had other documents for {waited:?}"));
                self.give_up_if_stuck(&queue, &error);
                Err(error)
            }
        }
    }

    /// Abandons a queue whose turn may never be given back, and answers the calls that wait in it.
    fn give_up_if_stuck(&self, queue: &Arc<Queue<C>>, error: &PortError) {
        if !self.writes.is_stuck() {
            return;
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.get(&queue.tenant).is_some_and(|present| Arc::ptr_eq(present, queue)) {
            queues.remove(&queue.tenant);
        }
        drop(queues);
        queue.answer_all(error);
    }

    /// Commits the next groups, even if the call that leads them is cancelled meanwhile.
    async fn commit_next(&self, queue: &Arc<Queue<C>>, turn: OwnedMutexGuard<()>) {
        let (commit_documents, observer) = (self.commit_documents, Arc::clone(&self.observer));
        let its_queue = Arc::clone(queue);
        // Held twice: until the work ends if this future is dropped, and until this future ends if no work begins.
        let turn = Arc::new(turn);
        let its_turn = Arc::clone(&turn);
        let committing = self.writes.with_tenant(self.writes.limit(), &queue.tenant, move |mut connection| {
            let _turn = its_turn;
            let mut foresight = its_queue.foresight.lock().unwrap_or_else(PoisonError::into_inner);
            let mut documents = 0;
            for number in 0..GROUPS_IN_A_ROW {
                let group = its_queue.next_group();
                let Some(first) = group.first() else { break };
                let transaction = if number == 0 { Span::current() } else { connection.span_in(&first.span) };
                let _transaction = transaction.enter();
                documents += group.iter().map(Call::documents).sum::<usize>();
                let flusher = its_queue.flusher.as_ref().filter(|flusher| {
                    // What comes alone is answered soonest if its commit flushes.
                    group.len() > 1 || !flusher.is_idle() || !its_queue.is_empty()
                });
                let goes_on =
                    commit_group(&mut connection, commit_documents, group, &mut foresight, flusher, &observer);
                if !goes_on || documents >= GROUP_SIZE {
                    break;
                }
            }
        });
        if let Err(error) = committing.await {
            queue.next_group().into_iter().for_each(|call| call.answer(Err(same(&error))));
            self.give_up_if_stuck(queue, &error);
        }
        drop(turn);
    }

    /// Returns a function that lets the tenant's cache follow another append to its log. It is called within the tenant's
    /// turn to write.
    pub(crate) fn follower(&self, tenant: &TenantId) -> impl FnOnce(&LogAdvance) + Send + use<C> {
        let queue = self.queue_of(tenant);
        move |moved| queue.foresight.lock().unwrap_or_else(PoisonError::into_inner).follow(moved)
    }

    fn queue_of(&self, tenant: &TenantId) -> Arc<Queue<C>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = || Arc::new(Queue::new(tenant.clone(), self.flush_later.as_ref()));
        Arc::clone(queues.entry(tenant.clone()).or_insert_with(queue))
    }
}

/// The waiting calls of a tenant.
struct Queue<C: Walled> {
    tenant: TenantId,
    waiting: Mutex<Waiting>,
    flusher: Option<Arc<Flusher<C>>>,
    /// Held by the call that commits.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Used only within a turn.
    foresight: Mutex<Foresight>,
}

/// Calls in the order of their arrival.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    /// The number of their documents.
    documents: usize,
}

struct Call {
    submissions: Vec<Submission>,
    refused: Vec<NewEvent>,
    as_of: Option<CredentialsVersion>,
    span: Span,
    answer: oneshot::Sender<Answer>,
}

impl Call {
    const fn documents(&self) -> usize {
        self.submissions.len() + self.refused.len()
    }

    fn answer(self, result: Answer) {
        // The caller may have stopped waiting.
        let _ = self.answer.send(result);
    }
}

impl<C: Walled> Queue<C> {
    fn new(tenant: TenantId, flush_later: Option<&FlushLater<C>>) -> Self {
        let flusher = flush_later.map(|FlushLater { connections, flush_after }| {
            Arc::new(Flusher::new(Arc::clone(connections), *flush_after, tenant.clone()))
        });
        Self { tenant, waiting: Mutex::default(), flusher, turn: Arc::default(), foresight: Mutex::default() }
    }

    fn is_empty(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).calls.is_empty()
    }

    fn enqueue(
        &self,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
        as_of: Option<CredentialsVersion>,
        span: Span,
    ) -> Result<oneshot::Receiver<Answer>, PortError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.documents >= QUEUE_SIZE {
            return Err(PortError::Unavailable(anyhow!(
                "{} documents of tenant {} wait already",
                waiting.documents,
                self.tenant
            )));
        }
        let (answer, answered) = oneshot::channel();
        let call = Call { submissions, refused, as_of, span, answer };
        waiting.documents += call.documents();
        waiting.calls.push_back(call);
        Ok(answered)
    }

    fn answer_all(&self, error: &PortError) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                return;
            }
            group.into_iter().for_each(|call| call.answer(Err(same(error))));
        }
    }

    /// Takes the calls of the next group, which share `as_of`.
    fn next_group(&self) -> Vec<Call> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group: Vec<Call> = Vec::new();
        let mut documents = 0;
        while let Some(call) = waiting.calls.front() {
            documents += call.documents();
            if group.first().is_some_and(|first| documents > GROUP_SIZE || first.as_of != call.as_of) {
                break;
            }
            group.extend(waiting.calls.pop_front());
        }
        waiting.documents -= group.iter().map(Call::documents).sum::<usize>();
        group
    }
}

/// Commits calls in one transaction, or each in its own if that fails, so that one call's fault does not affect its
/// neighbours. Returns whether the connection can be used further.
fn commit_group<C: Walled>(
    connection: &mut TenantConnection<'_, C>,
    commit_documents: CommitDocuments<C>,
    mut calls: Vec<Call>,
    foresight: &mut Foresight,
    flusher: Option<&Arc<Flusher<C>>>,
    observer: &Arc<dyn CommitObserver>,
) -> bool {
    let documents = calls.iter().map(Call::documents).sum();
    trace(&calls, documents);
    let sizes: Vec<_> = calls.iter().map(|call| (call.submissions.len(), call.refused.len())).collect();
    let submissions: Vec<_> = calls.iter_mut().flat_map(|call| call.submissions.drain(..)).collect();
    let refused: Vec<_> = calls.iter_mut().flat_map(|call| call.refused.drain(..)).collect();
    let as_of = calls.first().and_then(|call| call.as_of);
    let flush = if flusher.is_some() { Flush::Later } else { Flush::Now };
    let together = Documents { submissions: &submissions, refused: &refused, as_of, flush };
    match connection.run(|connection, tenant| commit_documents(connection, tenant, together, foresight)) {
        Ok(None) => calls.into_iter().for_each(|call| call.answer(Ok(None))),
        Ok(Some(Committed { results, unflushed })) => {
            let (observer, refused) = (Arc::clone(observer), refused.len());
            let answer = move |flushed: Result<(), &PortError>| match flushed {
                Ok(()) => {
                    tell(&*observer, &results, refused);
                    let mut results = results.into_iter();
                    for (call, (size, _)) in calls.into_iter().zip(sizes) {
                        call.answer(Ok(Some(results.by_ref().take(size).collect())));
                    }
                }
                Err(error) => calls.into_iter().for_each(|call| call.answer(Err(same(error)))),
            };
            match (flusher, unflushed) {
                (Some(flusher), Some(last)) => flusher.answer_later(last, Box::new(answer)),
                (None, _) | (_, None) => answer(Ok(())),
            }
        }
        Err(PortError::Unexpected(_)) => {
            let (mut submissions, mut refused) = (submissions.as_slice(), refused.as_slice());
            for (call, (submitted, refusing)) in calls.into_iter().zip(sizes) {
                let (own, own_refused);
                (own, submissions) = submissions.split_at(submitted);
                (own_refused, refused) = refused.split_at(refusing);
                let alone = Documents { submissions: own, refused: own_refused, as_of, flush: Flush::Now };
                let committed =
                    connection.run(|connection, tenant| commit_documents(connection, tenant, alone, foresight));
                let result = committed.map(|committed| committed.map(|committed| committed.results));
                if let Ok(Some(results)) = &result {
                    tell(&**observer, results, refusing);
                }
                call.answer(result);
            }
        }
        Err(error) => {
            calls.into_iter().for_each(|call| call.answer(Err(same(&error))));
            return false;
        }
    }
    true
}

/// Tells the observer the number of documents in a commit, if there are any.
fn tell(observer: &dyn CommitObserver, results: &SubmissionResults, refused: usize) {
    let documents = refused + results.iter().filter(|result| result.is_ok()).count();
    if documents > 0 {
        observer.committed(documents);
    }
}

fn told(answered: Result<Answer, RecvError>) -> Answer {
    answered.unwrap_or_else(|lost| Err(PortError::Unexpected(lost.into())))
}

/// Links each call to the span of their transaction, which is in the trace of the leading call.
fn trace(calls: &[Call], documents: usize) {
    let transaction = Span::current();
    transaction.record("mass.commit.batch.size", documents);
    for call in calls {
        call.span.follows_from(&transaction);
    }
}

/// Copies an error for another call.
fn same(error: &PortError) -> PortError {
    match error {
        PortError::Unavailable(cause) => PortError::Unavailable(anyhow!("{cause:#}")),
        PortError::Unexpected(cause) => PortError::Unexpected(anyhow!("{cause:#}")),
    }
}

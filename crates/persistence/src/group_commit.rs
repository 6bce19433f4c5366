//! Calls that wait for one another anyway share a transaction.
//!
//! A tenant's writes happen one after the other, and each transaction ends by waiting for the disk. Calls that arrive
//! while one of their tenant is being committed are therefore collected, and committed together next: under load the
//! disk is waited for once per group instead of once per call, and a call that is alone waits for nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use diesel::QueryResult;
use mass_domain::audit::NewEvent;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::trace::SPANS;
use mass_service::{Receipt, Refusal, Submission};
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{OwnedMutexGuard, oneshot};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::connections::{Connections, TenantConnection, Walled};
use crate::foresight::{Foresight, Moved};
use crate::load::CommitObserver;

/// How many documents share a transaction; a call with more has one of its own.
const GROUP_SIZE: usize = 1000;

/// How many groups, of [`GROUP_SIZE`] documents together, are committed before other writes get a turn. What was sent while a
/// group was committed is committed by the same thread: to wake another one takes as long as a small group.
const GROUPS_IN_A_ROW: usize = 16;

/// How many documents of a tenant may wait. Beyond that the database does not keep up, and more would wait in vain.
const QUEUE_SIZE: usize = 20_000;

/// One per submission, in their order.
pub(crate) type Results = Vec<Result<Receipt, Refusal>>;

/// Documents that are accepted and recorded in one transaction.
#[derive(Clone, Copy)]
pub(crate) struct Documents<'a> {
    /// Those that passed.
    pub(crate) submissions: &'a [Submission],
    /// The events of calls that were refused documents.
    pub(crate) refused: &'a [NewEvent],
    /// They come from callers who were recognised when their tenant's credentials were at this version.
    pub(crate) as_of: Option<CredentialsVersion>,
}

impl Documents<'_> {
    /// Whether their callers are recognised while the credentials are at this version.
    pub(crate) fn may_come_at(&self, version: CredentialsVersion) -> bool {
        self.as_of.is_none_or(|as_of| as_of == version)
    }
}

/// What accepts documents in one transaction.
type Accept<C> = fn(&mut C, &TenantId, Documents<'_>, &mut Foresight) -> QueryResult<Option<Results>>;

/// What a call is told.
type Answer = Result<Option<Results>, PortError>;

/// Accepts the documents of many calls in few transactions.
pub(crate) struct GroupCommit<C: Walled> {
    writes: Arc<Connections<C>>,
    accept: Accept<C>,
    observer: Arc<dyn CommitObserver>,
    queues: Mutex<HashMap<TenantId, Arc<Queue>>>,
}

impl<C: Walled> GroupCommit<C> {
    /// Commits on these connections, and tells the observer.
    pub(crate) fn new(writes: Arc<Connections<C>>, accept: Accept<C>, observer: Arc<dyn CommitObserver>) -> Self {
        Self { writes, accept, observer, queues: Mutex::default() }
    }

    /// How many documents wait, over all tenants.
    pub(crate) fn waiting(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |queue: &Arc<Queue>| queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).documents;
        queues.values().map(waiting).sum()
    }

    /// Accepts submissions in their order and records refused documents, in one transaction; nothing and `None` if the
    /// tenant's credentials are at another version than they are to be.
    pub(crate) async fn accept(
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
                    turn = Arc::clone(&queue.turn).lock_owned() => tokio::select! {
                        biased;
                        // Who leads waits for its own group, and not for those that are committed after it.
                        answered = &mut answer => return told(answered),
                        () = self.commit_next(&queue, turn) => {}
                    },
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

    /// Leaves a queue whose turn may never be given back, and tells those who wait in it.
    fn give_up_if_stuck(&self, queue: &Arc<Queue>, error: &PortError) {
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

    /// Commits the group whose turn it is, even if the call that leads it is given up meanwhile.
    async fn commit_next(&self, queue: &Arc<Queue>, turn: OwnedMutexGuard<()>) {
        let (accept, its_queue, observer) = (self.accept, Arc::clone(queue), Arc::clone(&self.observer));
        // Held twice: to the end of the work if this is given up, and to the end of this if there is no work.
        let turn = Arc::new(turn);
        let its_turn = Arc::clone(&turn);
        let committing = self.writes.with_tenant(&queue.tenant, move |mut connection| {
            let _turn = its_turn;
            let mut foresight = its_queue.foresight.lock().unwrap_or_else(PoisonError::into_inner);
            let mut documents = 0;
            for number in 0..GROUPS_IN_A_ROW {
                let group = its_queue.next_group();
                let Some(first) = group.first() else { break };
                let transaction = if number == 0 { Span::current() } else { connection.span_in(&first.span) };
                let _transaction = transaction.enter();
                documents += group.iter().map(Call::documents).sum::<usize>();
                let goes_on = commit(&mut connection, accept, group, &mut foresight, &*observer);
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

    /// Follows what else moves a tenant's log on, when it is told of it by whoever has the tenant's turn to write.
    pub(crate) fn follower(&self, tenant: &TenantId) -> impl FnOnce(&Moved) + Send + use<C> {
        let queue = self.queue_of(tenant);
        move |moved| queue.foresight.lock().unwrap_or_else(PoisonError::into_inner).follow(moved)
    }

    fn queue_of(&self, tenant: &TenantId) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(tenant.clone()).or_insert_with(|| Arc::new(Queue::new(tenant.clone()))))
    }
}

/// The calls of a tenant that wait.
struct Queue {
    tenant: TenantId,
    waiting: Mutex<Waiting>,
    /// Whose turn it is to commit what waits.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Used by whose turn it is alone.
    foresight: Mutex<Foresight>,
}

/// What waits, in its order.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    /// How many documents the calls have together.
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
        // Whoever gave up waiting needs no answer.
        let _ = self.answer.send(result);
    }
}

impl Queue {
    fn new(tenant: TenantId) -> Self {
        Self { tenant, waiting: Mutex::default(), turn: Arc::default(), foresight: Mutex::default() }
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

    /// Takes the calls that are committed together next: those that can be under one condition.
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

/// Commits calls in one transaction, or each in one of its own if that fails: one call's fault is not its neighbours', and
/// what was foreseen may have been at fault. Tells whether the connection can go on.
fn commit<C: Walled>(
    connection: &mut TenantConnection<'_, C>,
    accept: Accept<C>,
    mut calls: Vec<Call>,
    foresight: &mut Foresight,
    observer: &dyn CommitObserver,
) -> bool {
    let documents = calls.iter().map(Call::documents).sum();
    trace(&calls, documents);
    let sizes: Vec<_> = calls.iter().map(|call| (call.submissions.len(), call.refused.len())).collect();
    let submissions: Vec<_> = calls.iter_mut().flat_map(|call| call.submissions.drain(..)).collect();
    let refused: Vec<_> = calls.iter_mut().flat_map(|call| call.refused.drain(..)).collect();
    let as_of = calls.first().and_then(|call| call.as_of);
    let together = Documents { submissions: &submissions, refused: &refused, as_of };
    match connection.run(|connection, tenant| accept(connection, tenant, together, foresight)) {
        Ok(None) => calls.into_iter().for_each(|call| call.answer(Ok(None))),
        Ok(Some(results)) => {
            tell(observer, &results, refused.len());
            let mut results = results.into_iter();
            for (call, (size, _)) in calls.into_iter().zip(sizes) {
                call.answer(Ok(Some(results.by_ref().take(size).collect())));
            }
        }
        Err(PortError::Unexpected(_)) => {
            let (mut submissions, mut refused) = (submissions.as_slice(), refused.as_slice());
            for (call, (accepting, refusing)) in calls.into_iter().zip(sizes) {
                let (own, own_refused);
                (own, submissions) = submissions.split_at(accepting);
                (own_refused, refused) = refused.split_at(refusing);
                let alone = Documents { submissions: own, refused: own_refused, as_of };
                let result = connection.run(|connection, tenant| accept(connection, tenant, alone, foresight));
                if let Ok(Some(results)) = &result {
                    tell(observer, results, refusing);
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

/// Tells how many documents a commit was about, if anything was committed.
fn tell(observer: &dyn CommitObserver, results: &Results, refused: usize) {
    let documents = refused + results.iter().filter(|result| result.is_ok()).count();
    if documents > 0 {
        observer.committed(documents);
    }
}

fn told(answered: Result<Answer, RecvError>) -> Answer {
    answered.unwrap_or_else(|lost| Err(PortError::Unexpected(lost.into())))
}

/// Links each call to the one span of their transaction, which is in the trace of the call that leads.
fn trace(calls: &[Call], documents: usize) {
    let transaction = Span::current();
    transaction.record("mass.commit.batch.size", documents);
    for call in calls {
        call.span.follows_from(&transaction);
    }
}

/// The same error for another call.
fn same(error: &PortError) -> PortError {
    match error {
        PortError::Unavailable(cause) => PortError::Unavailable(anyhow!("{cause:#}")),
        PortError::Unexpected(cause) => PortError::Unexpected(anyhow!("{cause:#}")),
    }
}

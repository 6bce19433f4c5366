//! Calls that wait for one another anyway share a transaction.
//!
//! A tenant's writes happen one after the other, and each transaction ends by waiting for the disk. Calls that arrive
//! while one of their tenant is being committed are therefore collected, and committed together next: under load the
//! disk is waited for once per group instead of once per call, and a call that is alone waits for nobody.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use diesel::QueryResult;
use diesel::r2d2::R2D2Connection;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_service::{Receipt, Refusal, Submission};
use tokio::sync::oneshot;

use crate::connections::Connections;

/// How many submissions share a transaction; a call with more has one of its own.
const GROUP_SIZE: usize = 1000;

/// How many submissions of a tenant may wait. Beyond that the database does not keep up, and more would wait in vain.
const QUEUE_SIZE: usize = 20_000;

type Results = Vec<Result<Receipt, Refusal>>;
type Waiting = HashMap<TenantId, Vec<Call>>;

/// What accepts submissions in one transaction.
type Accept<C> = fn(&mut C, &TenantId, &[Submission]) -> QueryResult<Results>;

struct Call {
    submissions: Vec<Submission>,
    answer: oneshot::Sender<Result<Results, PortError>>,
}

/// Accepts the submissions of many calls in few transactions.
pub(crate) struct GroupCommit<C: R2D2Connection + 'static> {
    writes: Arc<Connections<C>>,
    accept: Accept<C>,
    // A tenant is in here exactly while a task works for it.
    waiting: Mutex<Waiting>,
}

impl<C: R2D2Connection + 'static> GroupCommit<C> {
    /// Commits on these connections.
    pub(crate) fn new(writes: Arc<Connections<C>>, accept: Accept<C>) -> Arc<Self> {
        Arc::new(Self { writes, accept, waiting: Mutex::default() })
    }

    /// Accepts submissions in their order, in one transaction.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<Results, PortError> {
        let (answer, answered) = oneshot::channel();
        let somebody_works = self.enqueue(tenant, Call { submissions, answer })?;
        if !somebody_works {
            tokio::spawn(Arc::clone(self).work(tenant.clone()));
        }
        answered.await.unwrap_or_else(|dropped| Err(PortError::Unexpected(dropped.into())))
    }

    /// Lets a call wait for its turn; tells whether a task works for its tenant already.
    fn enqueue(&self, tenant: &TenantId, call: Call) -> Result<bool, PortError> {
        let mut waiting = self.waiting();
        let Some(calls) = waiting.get_mut(tenant) else {
            waiting.insert(tenant.clone(), vec![call]);
            return Ok(false);
        };
        let queued: usize = calls.iter().map(|call| call.submissions.len()).sum();
        if queued >= QUEUE_SIZE {
            return Err(PortError::Unavailable(anyhow!("{queued} submissions of tenant {tenant} wait already")));
        }
        calls.push(call);
        Ok(true)
    }

    async fn work(self: Arc<Self>, tenant: TenantId) {
        while let Some(calls) = self.next_group(&tenant) {
            self.commit(&tenant, calls).await;
        }
    }

    /// The calls that come next; none, and the tenant is free for another task, if nobody waits.
    fn next_group(&self, tenant: &TenantId) -> Option<Vec<Call>> {
        let mut waiting = self.waiting();
        let calls = waiting.get_mut(tenant).filter(|calls| !calls.is_empty());
        let Some(calls) = calls else {
            waiting.remove(tenant);
            return None;
        };
        let mut submissions = 0;
        let fits = calls.iter().take_while(|call| {
            submissions += call.submissions.len();
            submissions <= GROUP_SIZE
        });
        let count = fits.count().max(1);
        Some(calls.drain(..count).collect())
    }

    async fn commit(&self, tenant: &TenantId, calls: Vec<Call>) {
        let mut submissions = Vec::new();
        let mut answers = Vec::new();
        for call in calls {
            let start = submissions.len();
            submissions.extend(call.submissions);
            answers.push((start..submissions.len(), call.answer));
        }
        let submissions = Arc::new(submissions);
        // Nobody minds an answer that its caller no longer waits for.
        match self.write(tenant, &submissions, 0..submissions.len()).await {
            Ok(results) => {
                let mut results = results.into_iter();
                for (range, answer) in answers {
                    let _ = answer.send(Ok(results.by_ref().take(range.len()).collect()));
                }
            }
            Err(PortError::Unavailable(error)) => {
                for (_, answer) in answers {
                    let _ = answer.send(Err(PortError::Unavailable(anyhow!("{error:#}"))));
                }
            }
            // One call's fault is not its neighbours'.
            Err(PortError::Unexpected(_)) => {
                for (range, answer) in answers {
                    let _ = answer.send(self.write(tenant, &submissions, range).await);
                }
            }
        }
    }

    async fn write(
        &self,
        tenant: &TenantId,
        submissions: &Arc<Vec<Submission>>,
        range: Range<usize>,
    ) -> Result<Results, PortError> {
        let (accept, tenant, submissions) = (self.accept, tenant.clone(), Arc::clone(submissions));
        self.writes.run(move |connection| accept(connection, &tenant, &submissions[range])).await
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

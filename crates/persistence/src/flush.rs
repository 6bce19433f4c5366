//! The flush that answers wait for, apart from the commits before it.
//!
//! A group that commits without waiting for the disk gives its locks back at once, so that the next group runs while it is
//! flushed. Its answers are given after a later flush, which covers every commit before it. Until then, other
//! transactions see what nobody has been promised: a crash of the database may lose it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::anyhow;
use diesel::QueryResult;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::columns::Node;
use crate::connections::{Connections, Walled};

/// The time of a commit's flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// With the commit.
    Now,
    /// By a [`Flusher`], before anybody is told of the commit.
    Later,
}

/// The last event of a commit that has not been flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastEvent {
    pub(crate) sequence: i64,
    pub(crate) leaf_hash: Node,
}

/// A transaction that flushes all commits before it, and finds out whether the log still has this event: a crash between
/// the commit and the flush may have lost it.
pub(crate) type FlushAfter<C> = fn(&mut C, &TenantId, &LastEvent) -> QueryResult<bool>;

/// Tells the callers of a commit whether it is durable.
type Answers = Box<dyn FnOnce(Result<(), &PortError>) + Send>;

/// Flushes the commits of one tenant, and answers afterwards. Commits that come during a flush share the next one.
pub(crate) struct Flusher<C: Walled> {
    connections: Arc<Connections<C>>,
    flush_after: FlushAfter<C>,
    tenant: TenantId,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    commits: Vec<(LastEvent, Answers)>,
    is_flushing: bool,
}

impl<C: Walled> Flusher<C> {
    pub(crate) fn new(connections: Arc<Connections<C>>, flush_after: FlushAfter<C>, tenant: TenantId) -> Self {
        Self { connections, flush_after, tenant, waiting: Mutex::default() }
    }

    /// Tells whether no commit waits for its flush.
    pub(crate) fn is_idle(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_flushing
    }

    /// Has a commit flushed and answered. Commits have to come in their order.
    pub(crate) fn answer_later(self: &Arc<Self>, last: LastEvent, answers: Answers) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.commits.push((last, answers));
        if !std::mem::replace(&mut waiting.is_flushing, true) {
            tokio::spawn(Arc::clone(self).flush_all());
        }
    }

    async fn flush_all(self: Arc<Self>) {
        // If the runtime drops this future, the callers learn that nobody answers, and the next commit begins anew.
        let abandoned = Abandoned(&self.waiting);
        loop {
            let commits = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let commits = std::mem::take(&mut waiting.commits);
                waiting.is_flushing = !commits.is_empty();
                commits
            };
            let Some((last, _)) = commits.last() else { break };
            let (last, flush_after) = (last.clone(), self.flush_after);
            let flush = move |connection: &mut C, tenant: &TenantId| flush_after(connection, tenant, &last);
            let flushed = match self.connections.run_for(&self.tenant, flush).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(PortError::Unavailable(anyhow!("the database has lost the last commits in a crash"))),
                Err(error) => Err(error),
            };
            for (_, answer) in commits {
                answer(flushed.as_ref().copied());
            }
        }
        std::mem::forget(abandoned);
    }
}

struct Abandoned<'a>(&'a Mutex<Waiting>);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
    }
}

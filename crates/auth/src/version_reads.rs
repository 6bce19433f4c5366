//! Requests that ask for the same version at once share one read of it.
//!
//! Each request has to know its tenant's version as it was after the request arrived. One read tells that to all who
//! wait when it begins; who arrives later waits for the next one. Under load there is one read at a time for a tenant,
//! however many its requests are, and a request that is alone waits for nobody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use crate::store::UserStore;

/// The present version; none if there is no such tenant.
type Answer = Result<Option<CredentialsVersion>, PortError>;

/// Reads versions of credentials.
pub(crate) struct VersionReads {
    users: Arc<dyn UserStore>,
    /// The tenants of which a version is being read, each with those who wait for the next read.
    running: Mutex<HashMap<TenantId, Vec<Waiting>>>,
}

/// A request that waits for a version.
struct Waiting {
    answer: oneshot::Sender<Answer>,
    /// Where the read is traced, if this request is the first of those who share it.
    span: Span,
}

impl VersionReads {
    /// Reads from this store.
    pub(crate) fn new(users: Arc<dyn UserStore>) -> Arc<Self> {
        Arc::new(Self { users, running: Mutex::default() })
    }

    /// The version of a tenant's credentials by a read that begins after this is called.
    pub(crate) async fn current(self: &Arc<Self>, tenant: &TenantId) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.join(tenant, Waiting { answer, span: Span::current() });
        match answered.await {
            Ok(answer) => answer,
            // Whoever was to read for this one is gone, with the thread that it ran on.
            Err(_) => self.users.credentials_version(tenant).await,
        }
    }

    fn join(self: &Arc<Self>, tenant: &TenantId, waiting: Waiting) {
        match self.running().entry(tenant.clone()) {
            Entry::Occupied(mut running) => return running.get_mut().push(waiting),
            Entry::Vacant(none) => none.insert(Vec::new()),
        };
        let reading = Reading { reads: Arc::clone(self), tenant: tenant.clone(), over: false };
        // A task of its own, so that a request that is given up does not take the read from those who share it.
        tokio::spawn(reading.run(vec![waiting]));
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TenantId, Vec<Waiting>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reads of a tenant's version, one after the other, until nobody waits. Dropped before that, it leaves the tenant to
/// whoever comes next, and those who wait to themselves.
struct Reading {
    reads: Arc<VersionReads>,
    tenant: TenantId,
    /// Whether nobody waits any more: the tenant may be another's by now.
    over: bool,
}

impl Reading {
    async fn run(mut self, mut group: Vec<Waiting>) {
        while let Some(first) = group.first() {
            let read = self.reads.users.credentials_version(&self.tenant).instrument(first.span.clone());
            let answer = read.await;
            for waiting in group {
                // Whoever gave up waiting needs no answer.
                let _ = waiting.answer.send(same(&answer));
            }
            group = self.next();
        }
    }

    /// Those who came while the last read ran. If there are none, the tenant is given up in the same moment, so that
    /// nobody waits for a read that does not come.
    fn next(&mut self) -> Vec<Waiting> {
        let mut running = self.reads.running();
        let group = running.get_mut(&self.tenant).map(std::mem::take).unwrap_or_default();
        if group.is_empty() {
            running.remove(&self.tenant);
            self.over = true;
        }
        group
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.over {
            self.reads.running().remove(&self.tenant);
        }
    }
}

/// The same answer for another request.
fn same(answer: &Answer) -> Answer {
    match answer {
        Ok(version) => Ok(*version),
        Err(PortError::Unavailable(cause)) => Err(PortError::Unavailable(anyhow!("{cause:#}"))),
        Err(PortError::Unexpected(cause)) => Err(PortError::Unexpected(anyhow!("{cause:#}"))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;
    use crate::double::{Double, Stored, settle};

    fn tenant() -> TenantId {
        TenantId::parse("default").unwrap()
    }

    fn version(answer: Answer) -> i64 {
        answer.unwrap().unwrap().0
    }

    /// So many requests at once, each at the point where it waits.
    async fn ask(reads: &Arc<VersionReads>, requests: usize) -> JoinSet<Answer> {
        let mut asking = JoinSet::new();
        for _ in 0..requests {
            let reads = Arc::clone(reads);
            asking.spawn(async move { reads.current(&tenant()).await });
        }
        settle().await;
        asking
    }

    #[tokio::test]
    async fn who_waits_shares_the_read_that_begins_next_and_no_earlier_one() {
        let double = Double::new(Stored::default());
        double.close_gate();
        let reads = VersionReads::new(double.clone());
        let first = ask(&reads, 1).await;
        double.change(|_| ());
        let others = ask(&reads, 50).await;
        assert_eq!(double.asked().0, 1, "the others wait");
        double.let_through(2);
        assert_eq!(first.join_all().await.into_iter().map(version).collect::<Vec<_>>(), [0]);
        assert!(others.join_all().await.into_iter().map(version).all(|version| version == 1));
        assert_eq!(double.asked().0, 2);
        assert!(reads.running().is_empty(), "nothing is kept of tenants that nobody asks for");
    }

    #[tokio::test]
    async fn one_after_the_other_each_has_a_read_of_its_own() {
        let double = Double::new(Stored::default());
        let reads = VersionReads::new(double.clone());
        for expected in 0..5 {
            assert_eq!(version(reads.current(&tenant()).await), expected);
            double.change(|_| ());
        }
        assert_eq!(double.asked().0, 5);
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_strands_nobody() {
        let double = Double::new(Stored::default());
        double.close_gate();
        let reads = VersionReads::new(double.clone());
        let mut leading = ask(&reads, 1).await;
        let mut given_up = ask(&reads, 5).await;
        let waiting = ask(&reads, 5).await;
        leading.shutdown().await;
        given_up.shutdown().await;
        double.let_through(2);
        assert_eq!(waiting.join_all().await.len(), 5);
        assert_eq!(double.asked().0, 2);
    }

    #[tokio::test]
    async fn who_loses_its_reader_with_a_thread_reads_for_itself() {
        let double = Double::new(Stored::default());
        double.close_gate();
        let reads = VersionReads::new(double.clone());
        let (its_reads, its_double) = (Arc::clone(&reads), double.clone());
        let (waits, waiting) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let _leading = ask(&its_reads, 1).await;
                assert_eq!(its_double.asked().0, 1);
                // The runtime lives on until the others wait, but does not run any more.
                waiting.recv().unwrap();
            });
        });
        while double.asked().0 == 0 {
            tokio::task::yield_now().await;
        }
        let others = ask(&reads, 3).await;
        waits.send(()).unwrap();
        thread.join().unwrap();
        double.let_through(4);
        assert_eq!(others.join_all().await.into_iter().map(version).collect::<Vec<_>>(), [0, 0, 0]);
        assert_eq!(version(reads.current(&tenant()).await), 0, "the tenant is free again");
    }

    #[tokio::test]
    async fn an_error_is_told_to_all_who_share_the_read_and_to_nobody_after() {
        let double = Double::new(Stored { is_broken: true, ..Stored::default() });
        double.close_gate();
        let reads = VersionReads::new(double.clone());
        let (first, others) = (ask(&reads, 1).await, ask(&reads, 3).await);
        double.let_through(3);
        for answer in first.join_all().await.into_iter().chain(others.join_all().await) {
            assert!(matches!(answer, Err(PortError::Unavailable(cause)) if cause.to_string() == "no room"));
        }
        double.stored().is_broken = false;
        assert_eq!(version(reads.current(&tenant()).await), 0);
    }

    #[tokio::test]
    async fn tenants_do_not_wait_for_one_another() {
        let double = Double::new(Stored::default());
        double.close_gate();
        let reads = VersionReads::new(double.clone());
        let waiting = ask(&reads, 1).await;
        let other = reads.clone();
        let other = tokio::spawn(async move { other.current(&TenantId::parse("other").unwrap()).await });
        settle().await;
        assert_eq!(double.asked().0, 2, "both are being read");
        double.let_through(2);
        assert_eq!((waiting.join_all().await.len(), version(other.await.unwrap())), (1, 0));
    }
}

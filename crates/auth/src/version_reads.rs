//! Coalesces concurrent reads of a tenant's credentials version.
//!
//! Each request needs the version as it was after its arrival. One read serves all requests that wait when it begins;
//! later ones wait for the next read. Under load there is one read at a time per tenant, and a single request does not
//! wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use crate::store::UserStore;

/// The current version; `None` if there is no such tenant.
type VersionResult = Result<Option<CredentialsVersion>, PortError>;

/// Reads credentials versions, one read at a time per tenant.
pub(crate) struct VersionReads {
    users: Arc<dyn UserStore>,
    /// The tenants with a running read, each with the requests that wait for the next one.
    running: Mutex<HashMap<TenantId, Vec<WaitingRequest>>>,
}

/// A request that waits for a version.
struct WaitingRequest {
    answer: oneshot::Sender<VersionResult>,
    /// The span of the read, if this request is the first of its group.
    span: Span,
}

impl VersionReads {
    /// Creates the reader on top of a store.
    pub(crate) fn new(users: Arc<dyn UserStore>) -> Arc<Self> {
        Arc::new(Self { users, running: Mutex::default() })
    }

    /// Returns a tenant's credentials version by a read that begins after this call.
    pub(crate) async fn current(self: &Arc<Self>, tenant: &TenantId) -> VersionResult {
        let (answer, answered) = oneshot::channel();
        self.join(tenant, WaitingRequest { answer, span: Span::current() });
        match answered.await {
            Ok(answer) => answer,
            // The task that was to read is gone, together with the runtime that it ran on.
            Err(_) => self.users.credentials_version(tenant).await,
        }
    }

    fn join(self: &Arc<Self>, tenant: &TenantId, waiting: WaitingRequest) {
        match self.running().entry(tenant.clone()) {
            Entry::Occupied(mut running) => return running.get_mut().push(waiting),
            Entry::Vacant(none) => none.insert(Vec::new()),
        };
        let reading = VersionReader { reads: Arc::clone(self), tenant: tenant.clone(), over: false };
        // A task of its own, so that a cancelled request does not cancel the read that others share.
        tokio::spawn(reading.run(vec![waiting]));
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TenantId, Vec<WaitingRequest>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a tenant's version again and again until no request waits. If it is dropped before, it frees the tenant for
/// the next reader, and the waiting requests read for themselves.
struct VersionReader {
    reads: Arc<VersionReads>,
    tenant: TenantId,
    /// True once no request waits: another reader may serve the tenant by now.
    over: bool,
}

impl VersionReader {
    async fn run(mut self, mut group: Vec<WaitingRequest>) {
        while let Some(first) = group.first() {
            let read = self.reads.users.credentials_version(&self.tenant).instrument(first.span.clone());
            let answer = read.await;
            for waiting in group {
                // A request that gave up needs no answer.
                let _ = waiting.answer.send(same(&answer));
            }
            group = self.next();
        }
    }

    /// Takes the requests that came during the last read. If there are none, it frees the tenant under the same lock,
    /// so that no request waits for a read that does not come.
    fn next(&mut self) -> Vec<WaitingRequest> {
        let mut running = self.reads.running();
        let group = running.get_mut(&self.tenant).map(std::mem::take).unwrap_or_default();
        if group.is_empty() {
            running.remove(&self.tenant);
            self.over = true;
        }
        group
    }
}

impl Drop for VersionReader {
    fn drop(&mut self) {
        if !self.over {
            self.reads.running().remove(&self.tenant);
        }
    }
}

/// Copies an answer for another request.
fn same(answer: &VersionResult) -> VersionResult {
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

    fn version(answer: VersionResult) -> i64 {
        answer.unwrap().unwrap().0
    }

    /// Starts this number of requests, each up to the point where it waits.
    async fn ask(reads: &Arc<VersionReads>, requests: usize) -> JoinSet<VersionResult> {
        let mut asking = JoinSet::new();
        for _ in 0..requests {
            let reads = Arc::clone(reads);
            asking.spawn(async move { reads.current(&tenant()).await });
        }
        settle().await;
        asking
    }

    #[tokio::test]
    async fn waiting_requests_share_the_next_read() {
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
    async fn sequential_requests_read_one_by_one() {
        let double = Double::new(Stored::default());
        let reads = VersionReads::new(double.clone());
        for expected in 0..5 {
            assert_eq!(version(reads.current(&tenant()).await), expected);
            double.change(|_| ());
        }
        assert_eq!(double.asked().0, 5);
    }

    #[tokio::test]
    async fn cancelled_requests_leave_the_others_waiting_for_the_read() {
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
    async fn requests_read_for_themselves_if_the_reader_is_lost() {
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
    async fn errors_reach_all_requests_that_share_the_read() {
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

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
use mass_domain::tenancy::TenantId;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use crate::store::{CredentialsVersion, UserStore};

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

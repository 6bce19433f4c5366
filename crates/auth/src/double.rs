//! Test double of the ports that authentication reads, with counters of its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use anyhow::anyhow;
use async_trait::async_trait;
use mass_domain::api_keys::KeyPrefix;
use mass_domain::audit::{Act, NewEvent};
use mass_domain::ids::{ApiKeyId, SessionId, UserId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use tokio::sync::Semaphore;

use crate::{
    Account, ApiKeyStore, AttemptKeys, AttemptStore, FactorStore, FoundSession, NewSession, Opened, PasswordChange,
    PasswordHash, ProvedFactor, RefreshTokenHash, Refreshed, Session, SessionStore, StoredFactor, StoredKey, Throttled,
    UserStore, Versioned,
};

/// The content of the double.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) version: i64,
    pub(crate) session: Option<(Session, User)>,
    pub(crate) key: Option<StoredKey>,
    pub(crate) is_suspended: bool,
    /// Makes reads of the version fail.
    pub(crate) is_broken: bool,
}

/// The test double.
pub(crate) struct Double {
    stored: Mutex<Stored>,
    /// Holds back reads of the version until they are let through; open at first.
    pub(crate) gate: Semaphore,
    pub(crate) version_reads: AtomicUsize,
    pub(crate) look_ups: AtomicUsize,
    pub(crate) marks: AtomicUsize,
}

impl Double {
    pub(crate) fn new(stored: Stored) -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::new(stored),
            gate: Semaphore::new(1_000_000),
            version_reads: AtomicUsize::new(0),
            look_ups: AtomicUsize::new(0),
            marks: AtomicUsize::new(0),
        })
    }

    pub(crate) fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap()
    }

    /// Changes the content and the credentials version.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Stored)) {
        let mut stored = self.stored();
        change(&mut stored);
        stored.version += 1;
    }

    /// Returns the numbers of version reads and of credential look-ups.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.version_reads.load(Ordering::SeqCst), self.look_ups.load(Ordering::SeqCst))
    }

    /// Holds back reads of the version until they are let through.
    pub(crate) fn close_gate(&self) {
        self.gate.forget_permits(1_000_000);
    }

    pub(crate) fn let_through(&self, reads: usize) {
        self.gate.add_permits(reads);
    }
}

/// Lets the other tasks run until each waits.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn not_asked_for<T>() -> Result<T, PortError> {
    Err(PortError::Unexpected(anyhow!("the double does not know this")))
}

#[async_trait]
impl UserStore for Double {
    async fn credentials_version(&self, _tenant: &TenantId) -> Result<Option<CredentialsVersion>, PortError> {
        self.version_reads.fetch_add(1, Ordering::SeqCst);
        let (version, is_broken) = {
            let stored = self.stored();
            (stored.version, stored.is_broken)
        };
        self.gate.acquire().await.unwrap().forget();
        if is_broken { Err(PortError::Unavailable(anyhow!("no room"))) } else { Ok(Some(CredentialsVersion(version))) }
    }

    async fn is_empty(&self) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn bootstrap(&self, _: Tenant, _: Account, _: Vec<NewEvent>) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn find_by_email(&self, _: &Email) -> Result<Option<Account>, PortError> {
        not_asked_for()
    }

    async fn set_password(&self, _: &TenantId, _: UserId, _: PasswordHash, _: NewEvent) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn change_password(&self, _: PasswordChange, _: NewEvent) -> Result<bool, PortError> {
        not_asked_for()
    }
}

#[async_trait]
impl SessionStore for Double {
    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<FoundSession>>, PortError> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        let stored = self.stored();
        let found = stored.session.clone().filter(|(session, _)| (&session.tenant_id, session.id) == (tenant, id));
        let found = found.map(|(session, user)| FoundSession { session, user, demands_factor: false });
        Ok(found.map(|found| Versioned {
            found,
            version: CredentialsVersion(stored.version),
            is_suspended: stored.is_suspended,
        }))
    }

    async fn open(&self, _: NewSession, _: NewEvent) -> Result<Opened, PortError> {
        not_asked_for()
    }

    async fn refresh(
        &self,
        _: &TenantId,
        _: RefreshTokenHash,
        _: RefreshTokenHash,
        _: Act,
    ) -> Result<Refreshed, PortError> {
        not_asked_for()
    }

    async fn list(
        &self,
        _: &TenantId,
        _: Option<UserId>,
        _: Option<SessionId>,
        _: Limit,
        _: Timestamp,
    ) -> Result<Vec<Session>, PortError> {
        not_asked_for()
    }

    async fn revoke(&self, _: &TenantId, _: SessionId, _: NewEvent) -> Result<(), PortError> {
        not_asked_for()
    }
}

#[async_trait]
impl ApiKeyStore for Double {
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<Versioned<StoredKey>>, PortError> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        let stored = self.stored();
        let found = stored.key.clone().filter(|stored| stored.key.prefix == *prefix);
        Ok(found.map(|found| Versioned {
            found,
            version: CredentialsVersion(stored.version),
            is_suspended: stored.is_suspended,
        }))
    }

    async fn mark_used(&self, _: &TenantId, _: ApiKeyId, _: Timestamp) -> Result<(), PortError> {
        self.marks.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[async_trait]
impl AttemptStore for Double {
    async fn begin(&self, _: &AttemptKeys, _: Timestamp) -> Result<Result<(), Throttled>, PortError> {
        not_asked_for()
    }

    async fn is_known(&self, _: &AttemptKeys) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn succeed(&self, _: &AttemptKeys, _: Timestamp) -> Result<(), PortError> {
        not_asked_for()
    }

    async fn fail(&self, _: NewEvent) -> Result<(), PortError> {
        not_asked_for()
    }
}

#[async_trait]
impl FactorStore for Double {
    async fn find(&self, _: &TenantId, _: UserId) -> Result<Option<StoredFactor>, PortError> {
        not_asked_for()
    }

    async fn begin(&self, _: &TenantId, _: UserId, _: Vec<u8>, _: Timestamp) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn confirm(
        &self,
        _: &TenantId,
        _: ProvedFactor,
        _: Vec<u8>,
        _: Vec<[u8; 32]>,
        _: NewEvent,
    ) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn prove(&self, _: &TenantId, _: ProvedFactor, _: NewEvent) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn replace_codes(&self, _: &TenantId, _: UserId, _: Vec<[u8; 32]>, _: NewEvent) -> Result<bool, PortError> {
        not_asked_for()
    }

    async fn remove(&self, _: &TenantId, _: UserId, _: Option<SessionId>, _: NewEvent) -> Result<bool, PortError> {
        not_asked_for()
    }
}

//! Retention of documents by their age, and the legal holds that keep them longer.

use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{LegalHoldId, SavingsProjectId, SavingsReportId};
use mass_domain::port::PortError;
use mass_domain::retention::{LegalHold, RetentionRules};
use mass_domain::tasks::{TaskQueue, TaskWorker, TenantTask};
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;
use serde_json::{Value, json};

use crate::ids::IdSequence;

/// The maximum number of legal holds of a tenant.
pub const MAX_HOLDS: u64 = 100;

/// The number up to which documents are counted that are to be erased.
pub const MOST_COUNTED: u32 = 10_000;

/// The number of the newest savings reports of which is told whether they lose documents.
pub const MOST_REPORTS: u16 = 100;

/// The documents that one transaction erases. It keeps the tenant's other writes waiting.
const STEP: u16 = 100;

/// The transactions of a worker on one tenant before the other tenants have their turn.
const STEPS: u16 = 5;

/// The interval at which a tenant's documents are looked through, in seconds.
const INTERVAL_SECONDS: i64 = 600;

/// The rules of a tenant, and what they do at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The rules.
    pub rules: RetentionRules,
    /// The documents that are beyond their age and not erased yet, counted up to [`MOST_COUNTED`].
    pub due: u32,
    /// The legal holds of the tenant.
    pub holds: u32,
    /// The savings reports that rest on documents which the rules let go, now or later, among the newest [`MOST_REPORTS`].
    pub reports: Vec<ReportAtRisk>,
}

/// A savings report whose documents are erased by their age, so that it cannot be computed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportAtRisk {
    /// The report.
    pub id: SavingsReportId,
    /// Its project.
    pub project_id: SavingsProjectId,
    /// The name of its project.
    pub project: String,
    /// The time at which the first of its documents is beyond its age.
    pub erases_from: Timestamp,
}

/// A requested change of a tenant's rules.
#[derive(Debug, Clone)]
pub struct RetentionChange {
    /// The new rules.
    pub rules: RetentionRules,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

impl RetentionChange {
    /// Builds the event of the change, with the previous rules.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: &RetentionRules) -> NewEvent {
        self.act
            .done(tenant, Action::RetentionSet, Object::Retention)
            .with("before", shown(before))
            .with("after", shown(&self.rules))
    }
}

fn shown(rules: &RetentionRules) -> Value {
    let rule = |contract: Option<String>, days: u16| json!({"contract": contract, "days": days});
    let rules = rules.as_slice().iter();
    rules.map(|each| rule(each.contract.map(|contract| contract.to_string()), each.days)).collect()
}

/// A legal hold to be set.
#[derive(Debug, Clone)]
pub struct NewHold {
    /// The hold.
    pub hold: LegalHold,
    /// The actor, the time and the origin.
    pub act: Act,
}

impl NewHold {
    /// Decides on the hold, from the number of holds that the tenant has, and builds its event.
    ///
    /// # Errors
    /// [`HoldError::TooMany`].
    pub fn judge(&self, tenant: &TenantId, count: u64) -> Result<NewEvent, HoldError> {
        if count >= MAX_HOLDS {
            return Err(HoldError::TooMany);
        }
        let event = self.act.done(tenant, Action::LegalHoldSet, Object::LegalHold(self.hold.id));
        Ok(NewEvent { contract: self.hold.contract, ..event }.with("reason", self.hold.reason.as_str()))
    }
}

/// The release of a legal hold.
#[derive(Debug, Clone)]
pub struct HoldRelease {
    /// The hold.
    pub id: LegalHoldId,
    /// The reason.
    pub reason: String,
    /// The actor, the time and the origin.
    pub act: Act,
}

impl HoldRelease {
    /// Builds the event of the release of the stored hold.
    ///
    /// # Errors
    /// [`HoldError::NotFound`].
    pub fn judge(&self, tenant: &TenantId, stored: Option<&LegalHold>) -> Result<NewEvent, HoldError> {
        let stored = stored.ok_or(HoldError::NotFound)?;
        let event = self.act.done(tenant, Action::LegalHoldReleased, Object::LegalHold(self.id));
        Ok(NewEvent { contract: stored.contract, ..event }
            .with("reason", self.reason.as_str())
            .with("since", stored.since.to_string()))
    }
}

/// Reason why rules are not read or set.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Reason why holds are not listed, set or released.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The tenant has no such hold, or it was released.
    #[error("there is no such legal hold")]
    NotFound,
    /// The tenant has as many holds as it may.
    #[error("the tenant has {MAX_HOLDS} legal holds, the most")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The port that stores retention rules and legal holds. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Returns the rules of a tenant, or the supposed ones in their place, with what they let go at this instant: documents
    /// are counted up to `most`.
    async fn get(
        &self,
        tenant: &TenantId,
        supposed: Option<RetentionRules>,
        at: Timestamp,
        most: u32,
    ) -> Result<Retention, PortError>;

    /// Replaces the rules of a tenant, and appends [`RetentionChange::event`] if they differ. The tenant's documents are
    /// then due for a worker.
    async fn update(&self, tenant: &TenantId, change: RetentionChange) -> Result<(), PortError>;

    /// Lists the legal holds of a tenant, the oldest first.
    async fn list_holds(&self, tenant: &TenantId) -> Result<Vec<LegalHold>, PortError>;

    /// Sets a legal hold if [`NewHold::judge`] allows it, and appends the event that it builds.
    async fn insert_hold(&self, tenant: &TenantId, hold: NewHold) -> Result<(), HoldError>;

    /// Removes a legal hold if [`HoldRelease::judge`] allows it, and appends the event that it builds.
    async fn delete_hold(&self, tenant: &TenantId, release: HoldRelease) -> Result<(), HoldError>;
}

/// A part of the work on a tenant: one transaction.
#[derive(Debug, Clone)]
pub struct ExpiryStep {
    /// The most documents to erase.
    pub limit: u16,
    /// The instant at which the documents' age is taken.
    pub at: Timestamp,
    /// The origin of the work.
    pub origin: Origin,
}

/// The port of the workers that erase documents by their age: over all tenants.
#[async_trait]
pub trait ExpiryStore: Send + Sync {
    /// Erases documents beyond their age that no hold covers, as deletions do, in one transaction. Returns their number.
    async fn erase(&self, tenant: &TenantId, step: ExpiryStep) -> Result<u16, PortError>;

    /// Removes erased content from the database's own log, now or once its readers have ended.
    async fn sweep(&self);
}

/// The use cases on retention rules and legal holds.
pub struct RetentionService {
    store: Arc<dyn RetentionStore>,
    clock: Arc<dyn Clock>,
    ids: IdSequence,
}

impl RetentionService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn RetentionStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, ids: IdSequence::new() }
    }

    /// Returns the rules of the caller's tenant, and what they do at present.
    ///
    /// # Errors
    /// [`RetentionError`].
    pub async fn get(&self, principal: &Principal) -> Result<Retention, RetentionError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.store.get(principal.tenant(), None, self.clock.now(), MOST_COUNTED).await?)
    }

    /// Returns what rules would do as those of the caller's tenant. Changes nothing.
    ///
    /// # Errors
    /// [`RetentionError`].
    pub async fn suppose(&self, principal: &Principal, rules: RetentionRules) -> Result<Retention, RetentionError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.store.get(principal.tenant(), Some(rules), self.clock.now(), MOST_COUNTED).await?)
    }

    /// Replaces the rules of the caller's tenant.
    ///
    /// # Errors
    /// [`RetentionError`]. The rules are then unchanged.
    pub async fn set(
        &self,
        principal: &Principal,
        rules: RetentionRules,
        origin: &Origin,
    ) -> Result<Retention, RetentionError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.update(principal.tenant(), RetentionChange { rules, act }).await?;
        self.get(principal).await
    }

    /// Lists the legal holds of the caller's tenant, the oldest first.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn holds(&self, principal: &Principal) -> Result<Vec<LegalHold>, HoldError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.store.list_holds(principal.tenant()).await?)
    }

    /// Sets a legal hold on the documents of the caller's tenant, or on those of one contract.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn hold(
        &self,
        principal: &Principal,
        contract: Option<ContractId>,
        reason: String,
        origin: &Origin,
    ) -> Result<LegalHold, HoldError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let id = LegalHoldId::from_uuid(self.ids.next(act.at));
        let hold = LegalHold { id, contract, reason, since: act.at, set_by: act.actor };
        self.store.insert_hold(principal.tenant(), NewHold { hold: hold.clone(), act }).await?;
        Ok(hold)
    }

    /// Releases a legal hold.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn release(
        &self,
        principal: &Principal,
        id: LegalHoldId,
        reason: String,
        origin: &Origin,
    ) -> Result<(), HoldError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.delete_hold(principal.tenant(), HoldRelease { id, reason, act }).await
    }
}

/// The use case of the workers that erase documents by their age.
pub struct Expirer {
    store: Arc<dyn ExpiryStore>,
    worker: TaskWorker,
}

/// The result of a visit to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryVisit {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The number of erased documents.
    pub erased: u64,
}

impl ExpiryStep {
    /// Returns the act that erases the documents.
    #[must_use]
    pub fn act(&self) -> Act {
        Act::new(Actor::System, self.at, &self.origin)
    }
}

impl Expirer {
    /// Puts the use case on top of a store and a queue, for a worker whose name is unique among all servers.
    #[must_use]
    pub fn new(
        store: Arc<dyn ExpiryStore>,
        queue: Arc<dyn TaskQueue>,
        clock: Arc<dyn Clock>,
        name: WorkerName,
    ) -> Self {
        Self { store, worker: TaskWorker::new(queue, TenantTask::Retention, clock, name) }
    }

    /// Visits the tenant that is due first: erases documents beyond their age, in several transactions. Returns `None` if no
    /// tenant is due.
    ///
    /// # Errors
    /// [`PortError`]. The tenant is then due again when the lease ends.
    pub async fn visit(&self, origin: &Origin) -> Result<Option<ExpiryVisit>, PortError> {
        let Some(visit) = self.worker.begin().await? else { return Ok(None) };
        let (mut erased, mut more) = (0, false);
        for _ in 0..STEPS {
            let step = ExpiryStep { limit: STEP, at: self.worker.now(), origin: origin.clone() };
            let step = self.store.erase(&visit.claim.tenant_id, step).await?;
            erased += u64::from(step);
            more = step == STEP;
            if !more || self.worker.is_over(&visit) {
                break;
            }
        }
        if erased > 0 {
            self.store.sweep().await;
        }
        self.worker.end(&visit, Some(if more { 0 } else { INTERVAL_SECONDS })).await?;
        Ok(Some(ExpiryVisit { tenant_id: visit.claim.tenant_id, erased }))
    }
}

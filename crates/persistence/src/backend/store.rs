//! The ports: each method is one unit of work on a pooled connection.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::PoisonError;

use anyhow::anyhow;
use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{
    AccountStore, ChangeUserError, ChangedUser, CreateKeyError, CreateTenantError, CreateUserError, KeyStore,
    QuotaChange, QuotaStore, SettingsChange, SettingsStore, TenantStore, UserChange,
};
use mass_audit_service::live::{Extent, LiveStore, Part, RequestPage, UserRecords};
use mass_audit_service::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};
use mass_auth::{
    Account, ApiKeyStore, AttemptKeys, AttemptStore, NewSession, PasswordChange, PasswordHash, RefreshTokenHash,
    Refreshed, Session, SessionStore, StoredKey, Throttled, UserStore, Versioned,
};
use mass_domain::api_keys::{ApiKey, KeyPrefix, SecretDigest};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Act, Event, NewEvent};
use mass_domain::delivery::{self, Backlog, Delivery, Overview, WorkerName};
use mass_domain::ids::{ApiKeyId, DeliveryId, MassRequestId, RecommendationId, SessionId, UserId};
use mass_domain::mass_request::{Filter, MassRequest, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::recommendation::{self, Recommendation};
use mass_domain::tenancy::{CredentialsVersion, Quotas, Tenant, TenantId, TenantSettings};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use mass_service::{
    Claim, Claimed, Conclusion, DeleteError, Deletion, DeliveryStore, Found, HandleError, MassStore, OutboxStore,
    Receipt, RecommendationStore, Recorded, Refusal, Restraint, SendError, Submission, Transition, TransitionError,
};

use super::{
    Connection, Store, api_keys, attempts, audit_live, audit_log, deliveries, live_requests, live_users, mass, quotas,
    recommendations, sessions, settings, tenants, users,
};
use crate::columns::Instant;
use crate::store::Upkeep;

impl Store {
    /// Does a unit of work for each tenant, and adds up what they count.
    async fn in_each_tenant(
        &self,
        work: impl Fn(&mut Connection, &TenantId) -> QueryResult<usize> + Clone + Send + 'static,
    ) -> Result<usize, PortError> {
        let mut count = 0;
        for tenant in self.reads.read_outside(tenants::ids).await? {
            count += self.writes.run_at_length_for(&tenant, work.clone()).await?;
        }
        Ok(count)
    }
}

#[async_trait]
impl MassStore for Store {
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError> {
        super::in_place(self)?;
        let results = self.accepting.accept(tenant, submissions, refused, None).await?;
        results
            .ok_or_else(|| PortError::Unexpected(anyhow!("documents were not accepted, although under no condition")))
    }

    async fn accept_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
    ) -> Result<Option<Vec<Result<Receipt, Refusal>>>, PortError> {
        super::in_place(self)?;
        self.accepting.accept(tenant, submissions, refused, Some(version)).await
    }

    async fn accept_all_or_none(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError> {
        super::in_place(self)?;
        self.writes
            .run_for(tenant, move |connection, tenant| mass::accept_all_or_none(connection, tenant, &submissions))
            .await
    }

    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| mass::find(connection, tenant, id)).await
    }

    async fn find_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        id: MassRequestId,
    ) -> Result<Option<Found<MassRequest>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| mass::find_as_of(connection, tenant, version, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<Summary>, PortError> {
        let filter = filter.clone();
        self.reads
            .read_for(tenant, move |connection, tenant| mass::list(connection, tenant, &filter, before, limit))
            .await
    }

    async fn events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| mass::events(connection, tenant, id)).await
    }

    async fn transition(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
        transition: Transition,
    ) -> Result<MassRequest, TransitionError> {
        self.writes
            .run_for(tenant, move |connection, tenant| mass::transition(connection, tenant, id, transition))
            .await?
    }

    async fn delete(&self, tenant: &TenantId, id: MassRequestId, deletion: Deletion) -> Result<(), DeleteError> {
        let delete =
            move |connection: &mut Connection, tenant: &TenantId| mass::delete(connection, tenant, id, deletion);
        let deleted = self.writes.run_for(tenant, delete).await?;
        if deleted.is_ok() {
            super::sweep(self).await;
        }
        deleted
    }
}

#[async_trait]
impl DeliveryStore for Store {
    async fn claim(
        &self,
        worker: &WorkerName,
        limit: u16,
        now: Timestamp,
        until: Timestamp,
        restraint: &Restraint,
    ) -> Result<Vec<Claimed>, PortError> {
        super::in_place(self)?;
        // Looked for apart, so that a worker that finds nothing has kept no writer waiting.
        let none_of = restraint.none_of.clone();
        if !self.reads.read_outside(move |connection| super::is_due(connection, Instant(now), &none_of)).await? {
            return Ok(Vec::new());
        }
        let (worker, restraint) = (worker.clone(), restraint.clone());
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let claim = move |connection: &mut Connection| {
            let span = deliveries::Lease { now, until };
            let claims = deliveries::claim(connection, &worker, limit, span, &restraint, &mut turn)?;
            Ok((claims, turn))
        };
        let (claims, turn) = self.writes.run_outside(claim).await?;
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        let mut claimed = Vec::new();
        let mut failure = None;
        for (tenant, claims) in by_tenant(claims) {
            let follow = self.accepting.follower(&tenant);
            let begin = move |connection: &mut Connection, tenant: &TenantId| {
                let (begun, moved) = deliveries::begin(connection, tenant, claims, now)?;
                follow(&moved);
                Ok(begun)
            };
            match self.writes.run_for(&tenant, begin).await {
                Ok(begun) => claimed.extend(begun.into_iter().map(deliveries::Begun::into_claimed)),
                Err(error) => failure = Some(error),
            }
        }
        // One tenant's trouble is not the others'.
        match failure {
            Some(error) if claimed.is_empty() => Err(error),
            Some(_) | None => Ok(claimed),
        }
    }

    async fn record(&self, claim: &Claim, conclusion: Conclusion, at: Timestamp) -> Result<Recorded, PortError> {
        super::in_place(self)?;
        let tenant = claim.tenant_id.clone();
        let record = |claim: Claim, conclusion: Conclusion| {
            let follow = self.accepting.follower(&tenant);
            let record = move |connection: &mut Connection, tenant: &TenantId| {
                let (recorded, moved) = deliveries::record(connection, tenant, &claim, conclusion, at)?;
                follow(&moved);
                Ok(recorded)
            };
            self.writes.run_for(&tenant, record)
        };
        match record(claim.clone(), conclusion.clone()).await {
            // An answer of the engine is not thrown away for a deadlock or a lost connection. Was it recorded after all, the
            // claim is no longer good.
            Err(PortError::Unavailable(_)) => record(claim.clone(), conclusion).await,
            recorded => recorded,
        }
    }

    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError> {
        let claims = claims.to_vec();
        self.writes.run_outside(move |connection| deliveries::extend(connection, &claims, until)).await
    }

    async fn hand_back(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError> {
        let worker = worker.clone();
        let claims = self.writes.run_outside(move |connection| deliveries::claims_of(connection, &worker)).await?;
        let mut handed_back = 0;
        for (tenant, claims) in by_tenant(claims) {
            handed_back += self
                .writes
                .run_for(&tenant, move |connection, tenant| deliveries::hand_back(connection, tenant, &claims, at))
                .await?;
        }
        Ok(handed_back)
    }
}

/// Claims, tenant by tenant.
fn by_tenant(claims: Vec<Claim>) -> BTreeMap<TenantId, Vec<Claim>> {
    let mut by_tenant: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for claim in claims {
        by_tenant.entry(claim.tenant_id.clone()).or_default().push(claim);
    }
    by_tenant
}

#[async_trait]
impl OutboxStore for Store {
    async fn send(&self, tenant: &TenantId, id: MassRequestId, act: Act) -> Result<Delivery, SendError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| deliveries::send(connection, tenant, id, &act)).await?
    }

    async fn find(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, PortError> {
        // At one instant, since it may be written down meanwhile.
        let find = move |connection: &mut Connection, tenant: &TenantId| {
            super::read(connection, |connection| deliveries::find(connection, tenant, id))
        };
        self.reads.read_for(tenant, find).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: delivery::Filter,
        before: Option<DeliveryId>,
        limit: Limit,
    ) -> Result<Vec<Delivery>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| deliveries::list(connection, tenant, filter, before, limit))
            .await
    }

    async fn overview(&self, tenant: &TenantId) -> Result<Overview, PortError> {
        self.reads.read_for(tenant, deliveries::overview).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, PortError> {
        self.reads.read_outside(move |connection| deliveries::backlog(connection, now)).await
    }

    async fn replay(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| deliveries::replay(connection, tenant, id, &act)).await?
    }

    async fn cancel(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| deliveries::cancel(connection, tenant, id, &act)).await?
    }
}

#[async_trait]
impl RecommendationStore for Store {
    async fn of_request(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Recommendation>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| recommendations::of_request(connection, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &recommendation::Filter,
        before: Option<RecommendationId>,
        limit: Limit,
    ) -> Result<Vec<Recommendation>, PortError> {
        let filter = filter.clone();
        self.reads
            .read_for(tenant, move |connection, tenant| {
                recommendations::list(connection, tenant, &filter, before, limit)
            })
            .await
    }
}

#[async_trait]
impl UserStore for Store {
    async fn is_empty(&self) -> Result<bool, PortError> {
        self.reads.read_outside(users::is_empty).await
    }

    async fn bootstrap(&self, tenant: Tenant, account: Account, events: Vec<NewEvent>) -> Result<bool, PortError> {
        let id = tenant.id.clone();
        self.writes.run_for(&id, move |connection, _| users::bootstrap(connection, &tenant, account, events)).await
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError> {
        let email = email.clone();
        self.reads.read_for_found(move |connection| users::whose(connection, &email), users::find_account).await
    }

    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        self.writes
            .run_for(tenant, move |connection, tenant| users::set_password(connection, tenant, id, &password, event))
            .await
    }

    async fn change_password(&self, change: PasswordChange, event: NewEvent) -> Result<bool, PortError> {
        let tenant = change.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| users::change_password(connection, &change, event)).await
    }

    async fn credentials_version(&self, tenant: &TenantId) -> Result<Option<CredentialsVersion>, PortError> {
        let tenant = tenant.clone();
        // Outside the tenants, where it needs no transaction to be held within one.
        self.reads.read_outside(move |connection| users::credentials_version(connection, &tenant)).await
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, opening: NewSession, event: NewEvent) -> Result<bool, PortError> {
        let tenant = opening.session.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| sessions::open(connection, opening, event)).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<(Session, User)>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| sessions::find(connection, tenant, id)).await
    }

    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        act: Act,
    ) -> Result<Refreshed, PortError> {
        // Whatever tenant a token that was made up names, it gets no turn to write, and nothing that is kept.
        let known =
            self.reads.read_for(tenant, move |connection, tenant| sessions::of_token(connection, tenant, presented));
        if known.await?.is_none() {
            return Ok(Refreshed::Refused);
        }
        self.writes
            .run_for(tenant, move |connection, tenant| sessions::refresh(connection, tenant, presented, next, &act))
            .await
    }

    async fn revoke(&self, tenant: &TenantId, id: SessionId, event: NewEvent) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| sessions::revoke(connection, tenant, id, event)).await
    }
}

#[async_trait]
impl AttemptStore for Store {
    async fn begin(&self, keys: &AttemptKeys, at: Timestamp) -> Result<Result<(), Throttled>, PortError> {
        let keys = keys.clone();
        self.writes.run_outside(move |connection| attempts::begin(connection, &keys, at)).await
    }

    async fn is_known(&self, keys: &AttemptKeys) -> Result<bool, PortError> {
        let keys = keys.clone();
        self.reads.read_outside(move |connection| attempts::is_known(connection, &keys)).await
    }

    async fn succeed(&self, keys: &AttemptKeys, at: Timestamp) -> Result<(), PortError> {
        let keys = keys.clone();
        self.writes.run_outside(move |connection| attempts::succeed(connection, &keys, at)).await
    }

    async fn fail(&self, event: NewEvent) -> Result<(), PortError> {
        let tenant = event.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, tenant| attempts::fail(connection, tenant, event)).await
    }
}

#[async_trait]
impl ApiKeyStore for Store {
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<Versioned<StoredKey>>, PortError> {
        let prefix = prefix.clone();
        self.reads
            .read_for_found(move |connection| api_keys::whose(connection, &prefix), api_keys::find_versioned)
            .await
    }

    async fn mark_used(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| api_keys::mark_used(connection, tenant, id, at)).await
    }
}

#[async_trait]
impl TenantStore for Store {
    async fn create(&self, tenant: Tenant, admin: Account, events: Vec<NewEvent>) -> Result<(), CreateTenantError> {
        let id = tenant.id.clone();
        self.writes.run_for(&id, move |connection, _| tenants::create(connection, &tenant, admin, events)).await?
    }

    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, PortError> {
        let id = id.clone();
        self.reads.read_outside(move |connection| tenants::find(connection, &id)).await
    }

    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError> {
        self.reads.read_outside(move |connection| tenants::list(connection, after.as_ref(), limit)).await
    }
}

#[async_trait]
impl AccountStore for Store {
    async fn create(&self, account: Account, event: NewEvent) -> Result<(), CreateUserError> {
        let tenant = account.user.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| users::create(connection, account, event)).await?
    }

    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| users::find(connection, tenant, id)).await
    }

    async fn list(&self, tenant: &TenantId, before: Option<UserId>, limit: Limit) -> Result<Vec<User>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| users::list(connection, tenant, before, limit)).await
    }

    async fn change(&self, tenant: &TenantId, id: UserId, change: UserChange) -> Result<ChangedUser, ChangeUserError> {
        self.writes.run_for(tenant, move |connection, tenant| users::change(connection, tenant, id, &change)).await?
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn create(&self, key: ApiKey, secret: SecretDigest, event: NewEvent) -> Result<bool, CreateKeyError> {
        let tenant = key.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| api_keys::create(connection, key, secret, event)).await?
    }

    async fn find(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        let stored =
            self.reads.read_for(tenant, move |connection, tenant| api_keys::find(connection, tenant, id)).await?;
        Ok(stored.map(|stored| stored.key))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        prefix: Option<&KeyPrefix>,
        before: Option<ApiKeyId>,
        limit: Limit,
    ) -> Result<Vec<ApiKey>, PortError> {
        let prefix = prefix.cloned();
        self.reads
            .read_for(tenant, move |connection, tenant| {
                api_keys::list(connection, tenant, prefix.as_ref(), before, limit)
            })
            .await
    }

    async fn revoke(&self, tenant: &TenantId, id: ApiKeyId, event: NewEvent) -> Result<bool, PortError> {
        self.writes.run_for(tenant, move |connection, tenant| api_keys::revoke(connection, tenant, id, event)).await
    }
}

#[async_trait]
impl QuotaStore for Store {
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError> {
        self.reads.read_for(tenant, quotas::get).await
    }

    async fn set(&self, tenant: &TenantId, change: QuotaChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| quotas::set(connection, tenant, &change)).await
    }
}

#[async_trait]
impl SettingsStore for Store {
    async fn get(&self, tenant: &TenantId) -> Result<TenantSettings, PortError> {
        self.reads.read_for(tenant, settings::get).await
    }

    async fn set(&self, tenant: &TenantId, change: SettingsChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| settings::set(connection, tenant, &change)).await
    }
}

#[async_trait]
impl AuditStore for Store {
    async fn record(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<(), PortError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| audit_log::record(connection, tenant, events)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<Event>, PortError> {
        let filter = filter.clone();
        self.reads
            .read_for(tenant, move |connection, tenant| audit_log::list(connection, tenant, &filter, before, limit))
            .await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Frontier, PortError> {
        self.reads.read_for(tenant, audit_log::head).await
    }

    async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Option<Frontier>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| audit_log::frontier_at(connection, tenant, size)).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        self.reads.read_outside(tenants::ids).await
    }

    async fn latest_checkpoint(&self, tenant: &TenantId) -> Result<Option<StoredCheckpoint>, PortError> {
        self.reads.read_for(tenant, audit_log::latest_checkpoint).await
    }

    async fn checkpoints(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| audit_log::checkpoints(connection, tenant, after, limit))
            .await
    }

    async fn keep_checkpoint(&self, tenant: &TenantId, checkpoint: StoredCheckpoint) -> Result<(), PortError> {
        self.writes
            .run_for(tenant, move |connection, tenant| audit_log::keep_checkpoint(connection, tenant, &checkpoint))
            .await
    }

    async fn inclusion(
        &self,
        tenant: &TenantId,
        sequence: i64,
        size: u64,
    ) -> Result<Option<(Leaf, Vec<TreeHash>)>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| audit_log::inclusion(connection, tenant, sequence, size))
            .await
    }

    async fn consistency(&self, tenant: &TenantId, from: u64, to: u64) -> Result<Option<Vec<TreeHash>>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| audit_log::consistency(connection, tenant, from, to))
            .await
    }

    async fn entries(&self, tenant: &TenantId, after: i64, limit: usize) -> Result<Vec<Entry>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| audit_log::entries(connection, tenant, after, limit))
            .await
    }

    async fn acceptance(&self, tenant: &TenantId, id: MassRequestId) -> Result<Option<Entry>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| audit_log::acceptance(connection, tenant, id)).await
    }

    async fn archived(&self, tenant: &TenantId) -> Result<u64, PortError> {
        self.reads.read_for(tenant, audit_log::archived).await
    }

    async fn archive(
        &self,
        tenant: &TenantId,
        events: RangeInclusive<i64>,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        let archived = super::archiving(self)
            .run_at_length_for(tenant, move |connection, tenant| audit_log::archive(connection, tenant, &events, event))
            .await?;
        super::sweep(self).await;
        Ok(archived)
    }
}

#[async_trait]
impl LiveStore for Store {
    async fn extent(&self, tenant: &TenantId) -> Result<Extent, PortError> {
        self.reads.read_for(tenant, audit_live::extent).await
    }

    async fn part(&self, tenant: &TenantId, after: u64, count: u64) -> Result<Part, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| audit_live::part(connection, tenant, after, count)).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        after: Option<MassRequestId>,
        limit: u64,
    ) -> Result<RequestPage, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| live_requests::page(connection, tenant, after, limit))
            .await
    }

    async fn users(&self, tenant: &TenantId, after: u64) -> Result<UserRecords, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| live_users::users(connection, tenant, after)).await
    }
}

#[async_trait]
impl Upkeep for Store {
    async fn check(&self) -> Result<(), PortError> {
        super::in_place(self)?;
        super::has_room(self)?;
        self.reads.read_outside(|connection| diesel::sql_query("SELECT 1").execute(connection)).await?;
        if self.writes.trouble().cannot_write() {
            self.writes.run_outside(super::try_to_write).await?;
            self.writes.trouble().can_write();
        }
        Ok(())
    }

    async fn purge(&self, before: Timestamp) -> Result<usize, PortError> {
        let keys = self.in_each_tenant(move |connection, tenant| mass::purge_keys(connection, tenant, before)).await?;
        super::sweep(self).await;
        Ok(keys)
    }

    async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError> {
        let sessions =
            self.in_each_tenant(move |connection, tenant| sessions::purge(connection, tenant, before)).await?;
        let attempts =
            self.writes.run_outside(move |connection| attempts::purge(connection, before, known_before)).await?;
        super::sweep(self).await;
        Ok(sessions + attempts)
    }

    fn load(&self) -> crate::Load {
        crate::Load {
            waiting_documents: self.accepting.waiting(),
            reads: self.reads.in_use(),
            writes: self.writes.in_use(),
        }
    }

    fn migrate(&self) -> Result<Vec<String>, crate::MigrateError> {
        super::migrate(self)
    }
}

//! The ports: each method is one unit of work on a pooled connection.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{
    AccountStore, ChangeUserError, CreateTenantError, CreateUserError, KeyStore, QuotaChange, QuotaStore, TenantStore,
    UserChange,
};
use mass_audit_service::live::{Extent, LiveStore, Part, RequestRecord};
use mass_audit_service::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};
use mass_auth::{
    Account, ApiKeyStore, AttemptKeys, AttemptStore, CredentialsVersion, Opening, PasswordChange, PasswordHash,
    RefreshTokenHash, Refreshed, Session, SessionStore, StoredKey, Throttled, UserStore, Versioned,
};
use mass_domain::api_keys::{ApiKey, KeyPrefix, SecretDigest};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Act, Event, NewEvent};
use mass_domain::ids::{ApiKeyId, MassRequestId, SessionId, UserId};
use mass_domain::mass_request::{Filter, MassRequest, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Quotas, Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use mass_service::{
    DeleteError, Deletion, Found, MassStore, Receipt, Refusal, Submission, Transition, TransitionError,
};

use super::{Connection, Store, api_keys, attempts, audit_live, audit_log, mass, quotas, sessions, tenants, users};
use crate::store::Upkeep;

impl Store {
    /// Does a unit of work for each tenant, and adds up what they count.
    async fn in_each_tenant(
        &self,
        work: impl Fn(&mut Connection, &TenantId) -> QueryResult<usize> + Clone + Send + 'static,
    ) -> Result<usize, PortError> {
        let mut count = 0;
        for tenant in self.reads.run_outside(tenants::ids).await? {
            count += self.writes.run_for(&tenant, work.clone()).await?;
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
        self.accepting.accept(tenant, submissions, refused).await
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
        self.reads.run_for(tenant, move |connection, tenant| mass::find(connection, tenant, id)).await
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
            .run_for(tenant, move |connection, tenant| mass::list(connection, tenant, &filter, before, limit))
            .await
    }

    async fn events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| mass::events(connection, tenant, id)).await
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
        self.writes.run_for(tenant, move |connection, tenant| mass::delete(connection, tenant, id, deletion)).await?
    }
}

#[async_trait]
impl UserStore for Store {
    async fn is_empty(&self) -> Result<bool, PortError> {
        self.reads.run_outside(users::is_empty).await
    }

    async fn found(&self, tenant: Tenant, account: Account, events: Vec<NewEvent>) -> Result<bool, PortError> {
        let id = tenant.id.clone();
        self.writes.run_for(&id, move |connection, _| users::found(connection, &tenant, account, events)).await
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError> {
        let email = email.clone();
        self.reads.run_for_found(move |connection| users::whose(connection, &email), users::find_account).await
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
        self.reads.run_outside(move |connection| users::credentials_version(connection, &tenant)).await
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, opening: Opening, event: NewEvent) -> Result<bool, PortError> {
        let tenant = opening.session.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| sessions::open(connection, opening, event)).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<Versioned<(Session, User)>>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| sessions::find(connection, tenant, id)).await
    }

    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        act: Act,
    ) -> Result<Refreshed, PortError> {
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
        self.reads.run_for_found(move |connection| api_keys::whose(connection, &prefix), api_keys::find_versioned).await
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
        self.reads.run_outside(move |connection| tenants::find(connection, &id)).await
    }

    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError> {
        self.reads.run_outside(move |connection| tenants::list(connection, after, limit)).await
    }
}

#[async_trait]
impl AccountStore for Store {
    async fn create(&self, account: Account, event: NewEvent) -> Result<(), CreateUserError> {
        let tenant = account.user.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| users::create(connection, account, event)).await?
    }

    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| users::find(connection, tenant, id)).await
    }

    async fn list(&self, tenant: &TenantId, before: Option<UserId>, limit: Limit) -> Result<Vec<User>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| users::list(connection, tenant, before, limit)).await
    }

    async fn change(&self, tenant: &TenantId, id: UserId, change: UserChange) -> Result<User, ChangeUserError> {
        self.writes.run_for(tenant, move |connection, tenant| users::change(connection, tenant, id, &change)).await?
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn create(&self, key: ApiKey, secret: SecretDigest, event: NewEvent) -> Result<bool, PortError> {
        let tenant = key.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| api_keys::create(connection, key, secret, event)).await
    }

    async fn find(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        let stored =
            self.reads.run_for(tenant, move |connection, tenant| api_keys::find(connection, tenant, id)).await?;
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
            .run_for(tenant, move |connection, tenant| {
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
        self.reads.run_for(tenant, quotas::get).await
    }

    async fn set(&self, tenant: &TenantId, change: QuotaChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| quotas::set(connection, tenant, &change)).await
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
            .run_for(tenant, move |connection, tenant| audit_log::list(connection, tenant, &filter, before, limit))
            .await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Frontier, PortError> {
        self.reads.run_for(tenant, audit_log::head).await
    }

    async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Frontier, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| audit_log::frontier_at(connection, tenant, size)).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        let mut with_events = Vec::new();
        for tenant in self.reads.run_outside(tenants::ids).await? {
            if AuditStore::head(self, &tenant).await?.size() > 0 {
                with_events.push(tenant);
            }
        }
        Ok(with_events)
    }

    async fn latest_checkpoint(&self, tenant: &TenantId) -> Result<Option<StoredCheckpoint>, PortError> {
        self.reads.run_for(tenant, audit_log::latest_checkpoint).await
    }

    async fn checkpoints(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, PortError> {
        self.reads
            .run_for(tenant, move |connection, tenant| audit_log::checkpoints(connection, tenant, after, limit))
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
            .run_for(tenant, move |connection, tenant| audit_log::inclusion(connection, tenant, sequence, size))
            .await
    }

    async fn consistency(&self, tenant: &TenantId, from: u64, to: u64) -> Result<Vec<TreeHash>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| audit_log::consistency(connection, tenant, from, to)).await
    }

    async fn entries(&self, tenant: &TenantId, after: i64, limit: usize) -> Result<Vec<Entry>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| audit_log::entries(connection, tenant, after, limit)).await
    }

    async fn acceptance(&self, tenant: &TenantId, id: MassRequestId) -> Result<Option<Entry>, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| audit_log::acceptance(connection, tenant, id)).await
    }

    async fn archived(&self, tenant: &TenantId) -> Result<u64, PortError> {
        self.reads.run_for(tenant, audit_log::archived).await
    }

    async fn archive(&self, tenant: &TenantId, up_to: i64, event: NewEvent) -> Result<(), PortError> {
        super::archiving(self)
            .run_for(tenant, move |connection, tenant| audit_log::archive(connection, tenant, up_to, event))
            .await
    }
}

#[async_trait]
impl LiveStore for Store {
    async fn extent(&self, tenant: &TenantId) -> Result<Extent, PortError> {
        self.reads.run_for(tenant, audit_live::extent).await
    }

    async fn part(&self, tenant: &TenantId, after: u64, count: u64) -> Result<Part, PortError> {
        self.reads.run_for(tenant, move |connection, tenant| audit_live::part(connection, tenant, after, count)).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        after: Option<MassRequestId>,
        limit: u64,
    ) -> Result<Vec<RequestRecord>, PortError> {
        self.reads
            .run_for(tenant, move |connection, tenant| audit_live::requests(connection, tenant, after, limit))
            .await
    }
}

#[async_trait]
impl Upkeep for Store {
    async fn check(&self) -> Result<(), PortError> {
        super::in_place(self)?;
        self.reads.run_outside(|connection| diesel::sql_query("SELECT 1").execute(connection)).await?;
        Ok(())
    }

    async fn purge(&self, before: Timestamp) -> Result<usize, PortError> {
        self.in_each_tenant(move |connection, tenant| mass::purge_keys(connection, tenant, before)).await
    }

    async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError> {
        let sessions =
            self.in_each_tenant(move |connection, tenant| sessions::purge(connection, tenant, before)).await?;
        let attempts =
            self.writes.run_outside(move |connection| attempts::purge(connection, before, known_before)).await?;
        Ok(sessions + attempts)
    }

    fn migrate(&self) -> Result<Vec<String>, crate::MigrateError> {
        super::migrate(self)
    }
}

//! The ports: each method is one unit of work on a pooled connection.

use mass_admin_service::{
    AccountStore, ChangeUserError, CreateTenantError, CreateUserError, KeyStore, QuotaStore, TenantStore, UserChange,
};
use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{Account, ApiKeyStore, AttemptKeys, AttemptStore, Opening, PasswordChange, PasswordHash, RefreshTokenHash, Refreshed, Session, SessionStore, StoredKey, Throttled, UserStore};
use mass_domain::api_keys::{ApiKey, KeyPrefix, SecretDigest};
use mass_domain::audit::Event;
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

use super::{Store, api_keys, attempts, mass, quotas, sessions, tenants, users};
use crate::store::Upkeep;

#[async_trait]
impl MassStore for Store {
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError> {
        self.accepting.accept(tenant, submissions).await
    }

    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| mass::find(connection, &tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<Summary>, PortError> {
        let (tenant, filter) = (tenant.clone(), filter.clone());
        self.reads.run(move |connection| mass::list(connection, &tenant, &filter, before, limit)).await
    }

    async fn events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| mass::events(connection, &tenant, id)).await
    }

    async fn transition(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
        transition: Transition,
    ) -> Result<MassRequest, TransitionError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| mass::transition(connection, &tenant, id, transition)).await?
    }

    async fn delete(&self, tenant: &TenantId, id: MassRequestId, deletion: Deletion) -> Result<(), DeleteError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| mass::delete(connection, &tenant, id, deletion)).await?
    }
}

#[async_trait]
impl UserStore for Store {
    async fn is_empty(&self) -> Result<bool, PortError> {
        self.reads.run(users::is_empty).await
    }

    async fn found(&self, tenant: Tenant, account: Account) -> Result<bool, PortError> {
        self.writes.run(move |connection| users::found(connection, &tenant, account)).await
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, PortError> {
        let email = email.clone();
        self.reads.run(move |connection| users::find_by_email(connection, &email)).await
    }

    async fn set_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        password: PasswordHash,
        at: Timestamp,
    ) -> Result<bool, PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| users::set_password(connection, &tenant, id, &password, at)).await
    }

    async fn change_password(&self, change: PasswordChange) -> Result<bool, PortError> {
        self.writes.run(move |connection| users::change_password(connection, &change)).await
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn open(&self, opening: Opening) -> Result<bool, PortError> {
        self.writes.run(move |connection| sessions::open(connection, opening)).await
    }

    async fn find(&self, tenant: &TenantId, id: SessionId) -> Result<Option<(Session, User)>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| sessions::find(connection, &tenant, id)).await
    }

    async fn refresh(
        &self,
        tenant: &TenantId,
        presented: RefreshTokenHash,
        next: RefreshTokenHash,
        at: Timestamp,
    ) -> Result<Refreshed, PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| sessions::refresh(connection, &tenant, presented, next, at)).await
    }

    async fn revoke(&self, tenant: &TenantId, id: SessionId, at: Timestamp) -> Result<(), PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| sessions::revoke(connection, &tenant, id, at)).await
    }
}

#[async_trait]
impl AttemptStore for Store {
    async fn begin(&self, keys: &AttemptKeys, at: Timestamp) -> Result<Result<(), Throttled>, PortError> {
        let keys = keys.clone();
        self.writes.run(move |connection| attempts::begin(connection, &keys, at)).await
    }

    async fn succeed(&self, keys: &AttemptKeys, at: Timestamp) -> Result<(), PortError> {
        let keys = keys.clone();
        self.writes.run(move |connection| attempts::succeed(connection, &keys, at)).await
    }
}

#[async_trait]
impl ApiKeyStore for Store {
    async fn find_by_prefix(&self, prefix: &KeyPrefix) -> Result<Option<StoredKey>, PortError> {
        let prefix = prefix.clone();
        self.reads.run(move |connection| api_keys::find_by_prefix(connection, &prefix)).await
    }

    async fn mark_used(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<(), PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| api_keys::mark_used(connection, &tenant, id, at)).await
    }
}

#[async_trait]
impl TenantStore for Store {
    async fn create(&self, tenant: Tenant, admin: Account) -> Result<(), CreateTenantError> {
        self.writes.run(move |connection| tenants::create(connection, &tenant, admin)).await?
    }

    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, PortError> {
        let id = id.clone();
        self.reads.run(move |connection| tenants::find(connection, &id)).await
    }

    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError> {
        self.reads.run(move |connection| tenants::list(connection, after, limit)).await
    }
}

#[async_trait]
impl AccountStore for Store {
    async fn create(&self, account: Account) -> Result<(), CreateUserError> {
        self.writes.run(move |connection| users::create(connection, account)).await?
    }

    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| users::find(connection, &tenant, id)).await
    }

    async fn list(&self, tenant: &TenantId, before: Option<UserId>, limit: Limit) -> Result<Vec<User>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| users::list(connection, &tenant, before, limit)).await
    }

    async fn change(&self, tenant: &TenantId, id: UserId, change: UserChange) -> Result<User, ChangeUserError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| users::change(connection, &tenant, id, &change)).await?
    }
}

#[async_trait]
impl KeyStore for Store {
    async fn create(&self, key: ApiKey, secret: SecretDigest) -> Result<bool, PortError> {
        self.writes.run(move |connection| api_keys::create(connection, key, secret)).await
    }

    async fn find(&self, tenant: &TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        let tenant = tenant.clone();
        let stored = self.reads.run(move |connection| api_keys::find(connection, &tenant, id)).await?;
        Ok(stored.map(|stored| stored.key))
    }

    async fn list(
        &self,
        tenant: &TenantId,
        prefix: Option<&KeyPrefix>,
        before: Option<ApiKeyId>,
        limit: Limit,
    ) -> Result<Vec<ApiKey>, PortError> {
        let (tenant, prefix) = (tenant.clone(), prefix.cloned());
        self.reads.run(move |connection| api_keys::list(connection, &tenant, prefix.as_ref(), before, limit)).await
    }

    async fn revoke(&self, tenant: &TenantId, id: ApiKeyId, at: Timestamp) -> Result<bool, PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| api_keys::revoke(connection, &tenant, id, at)).await
    }
}

#[async_trait]
impl QuotaStore for Store {
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| quotas::get(connection, &tenant)).await
    }

    async fn set(&self, tenant: &TenantId, quotas: Quotas, at: Timestamp) -> Result<(), PortError> {
        let tenant = tenant.clone();
        self.writes.run(move |connection| quotas::set(connection, &tenant, quotas, at)).await
    }
}

#[async_trait]
impl Upkeep for Store {
    async fn check(&self) -> Result<(), PortError> {
        self.reads.run(|connection| diesel::sql_query("SELECT 1").execute(connection)).await?;
        Ok(())
    }

    async fn purge(&self, before: Timestamp) -> Result<usize, PortError> {
        self.writes.run(move |connection| mass::purge_keys(connection, before)).await
    }

    async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError> {
        let purge = move |connection: &mut _| {
            Ok(sessions::purge(connection, before)? + attempts::purge(connection, before, known_before)?)
        };
        self.writes.run(purge).await
    }

    fn migrate(&self) -> Result<Vec<String>, crate::MigrateError> {
        super::migrate(self)
    }
}

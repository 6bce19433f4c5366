//! The ports: each method is one unit of work on a pooled connection.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_auth::{Account, CreateAccountError, PasswordHash, UserStore};
use mass_domain::audit::Event;
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::mass_request::{Filter, MassRequest, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Tenant, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::{Email, User};
use mass_service::{
    DeleteError, Deletion, Found, MassStore, Receipt, Refusal, Submission, Transition, TransitionError,
};

use super::{Store, mass, users};
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

    async fn find(&self, tenant: &TenantId, id: UserId) -> Result<Option<User>, PortError> {
        let tenant = tenant.clone();
        self.reads.run(move |connection| users::find(connection, &tenant, id)).await
    }

    async fn create(&self, account: Account) -> Result<(), CreateAccountError> {
        self.writes.run(move |connection| users::create(connection, account)).await?
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

    async fn rehash_password(
        &self,
        tenant: &TenantId,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
    ) -> Result<(), PortError> {
        let (tenant, old) = (tenant.clone(), old.clone());
        self.writes.run(move |connection| users::rehash_password(connection, &tenant, id, &old, &new)).await
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

    fn migrate(&self) -> Result<Vec<String>, crate::MigrateError> {
        super::migrate(self)
    }
}

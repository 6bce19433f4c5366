//! Checks, purges and migrations of a whole database.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::{Connection, Store, attempts, examining, mass, quarantine, sessions, tenants};
use crate::store::Upkeep;
use crate::{BackupError, CredentialCounts, Examination, Load, MigrateError};

impl Store {
    /// Runs a unit of work for each tenant and adds up the results.
    pub(super) async fn in_each_tenant(
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
impl Upkeep for Store {
    async fn check(&self) -> Result<(), PortError> {
        super::in_place(self)?;
        super::has_room(self)?;
        self.reads.read_outside(|connection| diesel::sql_query("SELECT 1").execute(connection)).await?;
        if self.writes.errors().has_no_room() {
            self.writes.run_outside(super::try_to_write).await?;
            self.writes.errors().found_room();
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

    async fn purge_quarantine(&self, now: Timestamp) -> Result<usize, PortError> {
        let purge = move |connection: &mut Connection, tenant: &TenantId| quarantine::purge(connection, tenant, now);
        let records = self.in_each_tenant(purge).await?;
        super::sweep(self).await;
        Ok(records)
    }

    async fn clock(&self) -> Result<Option<Timestamp>, PortError> {
        self.reads.read_outside(super::clock).await
    }

    async fn credentials(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<CredentialCounts, PortError> {
        let read = move |connection: &mut Connection, tenant: &TenantId| {
            examining::credentials(connection, tenant, now, until)
        };
        self.reads.read_for(tenant, read).await
    }

    fn examine(&self) -> Result<Examination, String> {
        super::examine(self)
    }

    fn damage(&self) -> Result<Vec<String>, String> {
        super::damage(self)
    }

    fn back_up(&self, path: &Path) -> Result<(), BackupError> {
        super::back_up(self, path)
    }

    fn restore(&self, path: &Path) -> Result<(), BackupError> {
        super::load(self, path)
    }

    fn file(&self) -> Option<PathBuf> {
        super::file(self)
    }

    fn load(&self) -> Load {
        let pools = [
            ("read", &self.reads),
            ("write", &*self.writes),
            ("export", &self.exports),
            ("analytics", &self.analytics),
            ("projection", &self.projections),
        ];
        let flushes = self.accepting.flushes().map(|pool| ("flush", pool));
        let pools = pools.into_iter().chain(flushes).map(|(name, pool)| (name, pool.in_use()));
        Load { waiting_documents: self.accepting.waiting(), pools: pools.collect() }
    }

    fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        super::migrate(self)
    }
}

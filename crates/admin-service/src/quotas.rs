//! The quotas of a tenant: off unless somebody sets them.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Quotas, TenantId};
use mass_domain::time::Timestamp;

use crate::AdminService;

/// Keeps quotas. Each call is one unit of work, and never reaches another tenant's data.
#[async_trait]
pub trait QuotaStore: Send + Sync {
    /// The quotas of a tenant; the default where none were ever set.
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError>;

    /// Replaces the quotas of a tenant.
    async fn set(&self, tenant: &TenantId, quotas: Quotas, at: Timestamp) -> Result<(), PortError>;
}

/// Why quotas are neither shown nor set.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// The quotas of the caller's tenant.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn quotas(&self, principal: &Principal) -> Result<Quotas, QuotaError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.stores.quotas.get(principal.tenant()).await?)
    }

    /// Replaces the quotas of the caller's tenant.
    ///
    /// # Errors
    /// [`QuotaError`]; they are as before then.
    pub async fn set_quotas(&self, principal: &Principal, quotas: Quotas) -> Result<(), QuotaError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.stores.quotas.set(principal.tenant(), quotas, self.clock.now()).await?)
    }
}

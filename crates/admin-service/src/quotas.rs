//! The quotas of a tenant: off unless somebody sets them.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Quotas, TenantId};
use mass_domain::trace::Origin;
use serde_json::{Value, json};

use crate::AdminService;

/// Keeps quotas. Each call is one unit of work, and never reaches another tenant's data.
#[async_trait]
pub trait QuotaStore: Send + Sync {
    /// The quotas of a tenant; the default where none were ever set.
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError>;

    /// Replaces the quotas of a tenant, and records [`QuotaChange::event`] if they were others.
    async fn set(&self, tenant: &TenantId, change: QuotaChange) -> Result<(), PortError>;
}

/// A change of a tenant's quotas, asked for.
#[derive(Debug, Clone)]
pub struct QuotaChange {
    /// What they are to be.
    pub quotas: Quotas,
    /// Who asks, when and from where.
    pub act: Act,
}

impl QuotaChange {
    /// The event of the change of what they were before.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: &Quotas) -> NewEvent {
        self.act
            .done(tenant, Action::QuotasSet, Object::Quotas)
            .with("before", shown(before))
            .with("after", shown(&self.quotas))
    }
}

fn shown(quotas: &Quotas) -> Value {
    json!({"requests_per_day": quotas.requests_per_day, "stored_bytes": quotas.stored_bytes})
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
    pub async fn set_quotas(&self, principal: &Principal, quotas: Quotas, origin: &Origin) -> Result<(), QuotaError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        Ok(self.stores.quotas.set(principal.tenant(), QuotaChange { quotas, act }).await?)
    }
}

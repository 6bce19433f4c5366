//! The quotas of a tenant. Without a setting, a tenant has no quotas.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Quotas, TenantId, Usage};
use mass_domain::trace::Origin;
use serde_json::{Value, json};

use crate::AdminService;

/// The port that stores quotas. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait QuotaStore: Send + Sync {
    /// Returns the quotas of a tenant; the default if none were set.
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError>;

    /// Returns what counts against the quotas of a tenant.
    async fn get_usage(&self, tenant: &TenantId) -> Result<Usage, PortError>;

    /// Replaces the quotas of a tenant, and appends [`QuotaChange::event`] if they differ.
    async fn update(&self, tenant: &TenantId, change: QuotaChange) -> Result<(), PortError>;
}

/// A requested change of a tenant's quotas.
#[derive(Debug, Clone)]
pub struct QuotaChange {
    /// The new quotas.
    pub quotas: Quotas,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

impl QuotaChange {
    /// Builds the event of the change, with the previous quotas.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: &Quotas) -> NewEvent {
        self.act
            .done(tenant, Action::QuotasSet, Object::Quotas)
            .with("before", shown(before))
            .with("after", shown(&self.quotas))
    }
}

fn shown(quotas: &Quotas) -> Value {
    let Quotas { requests_per_day, stored_bytes, quarantine_bytes } = quotas;
    json!({"requests_per_day": requests_per_day, "stored_bytes": stored_bytes, "quarantine_bytes": quarantine_bytes})
}

/// Reason why quotas cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// Returns the quotas of the caller's tenant.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn quotas(&self, principal: &Principal) -> Result<Quotas, QuotaError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.stores.quotas.get(principal.tenant()).await?)
    }

    /// Returns what counts against the quotas of the caller's tenant at present: of requests, those of the present day.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub async fn usage(&self, principal: &Principal) -> Result<Usage, QuotaError> {
        principal.require(Permission::SettingsManage)?;
        Ok(self.stores.quotas.get_usage(principal.tenant()).await?.on_day_of(self.clock.now()))
    }

    /// Replaces the quotas of the caller's tenant.
    ///
    /// # Errors
    /// [`QuotaError`]. The quotas are then unchanged.
    pub async fn set_quotas(&self, principal: &Principal, quotas: Quotas, origin: &Origin) -> Result<(), QuotaError> {
        principal.require(Permission::SettingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        Ok(self.stores.quotas.update(principal.tenant(), QuotaChange { quotas, act }).await?)
    }
}

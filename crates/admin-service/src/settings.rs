//! The settings of a tenant. Without a setting, the server's configuration applies.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::{AutoSend, TenantId, TenantSettings};
use mass_domain::trace::Origin;
use serde_json::{Value, json};

use crate::AdminService;

/// The port that stores settings. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// Returns the settings of a tenant; the default if none were set.
    async fn get(&self, tenant: &TenantId) -> Result<TenantSettings, PortError>;

    /// Replaces the settings of a tenant, and appends [`SettingsChange::event`] if they differ.
    async fn update(&self, tenant: &TenantId, change: SettingsChange) -> Result<(), PortError>;
}

/// A requested change of a tenant's settings.
#[derive(Debug, Clone)]
pub struct SettingsChange {
    /// The new settings.
    pub settings: TenantSettings,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

impl SettingsChange {
    /// Builds the event of the change, with the previous settings.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: &TenantSettings) -> NewEvent {
        self.act
            .done(tenant, Action::SettingsSet, Object::Settings)
            .with("before", shown(before))
            .with("after", shown(&self.settings))
    }
}

fn shown(settings: &TenantSettings) -> Value {
    json!({
        "auto_send": settings.auto_send, "quarantine": settings.quarantine, "second_factor": settings.second_factor,
    })
}

/// The settings of a tenant, and their effective values on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveSettings {
    /// The tenant's own settings.
    pub settings: TenantSettings,
    /// True if accepted documents are sent to the engine automatically.
    pub auto_send: bool,
}

impl EffectiveSettings {
    fn on(server: AutoSend, settings: TenantSettings) -> Self {
        Self { settings, auto_send: server.is_in_force(&settings) }
    }
}

/// Reason why settings cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Automatic sending was requested, but the server has no engine.
    #[error("no engine is configured")]
    EngineMissing,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// Returns the settings of the caller's tenant.
    ///
    /// # Errors
    /// [`SettingsError`], but never [`SettingsError::EngineMissing`].
    pub async fn settings(&self, principal: &Principal) -> Result<EffectiveSettings, SettingsError> {
        principal.require(Permission::SettingsManage)?;
        Ok(EffectiveSettings::on(self.auto_send, self.stores.settings.get(principal.tenant()).await?))
    }

    /// Replaces the settings of the caller's tenant. They take effect on the next request, on every server.
    ///
    /// # Errors
    /// [`SettingsError`]. The settings are then unchanged.
    pub async fn set_settings(
        &self,
        principal: &Principal,
        settings: TenantSettings,
        origin: &Origin,
    ) -> Result<EffectiveSettings, SettingsError> {
        principal.require(Permission::SettingsManage)?;
        if settings.auto_send == Some(true) && self.auto_send == AutoSend::NoEngine {
            return Err(SettingsError::EngineMissing);
        }
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.stores.settings.update(principal.tenant(), SettingsChange { settings, act }).await?;
        Ok(EffectiveSettings::on(self.auto_send, settings))
    }
}

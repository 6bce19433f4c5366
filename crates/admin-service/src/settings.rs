//! The settings of a tenant: where it has decided nothing, it is as the server is configured.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::{AutoSend, Settings, TenantId};
use mass_domain::trace::Origin;
use serde_json::{Value, json};

use crate::AdminService;

/// Keeps settings. Each call is one unit of work, and never reaches another tenant's data.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// The settings of a tenant; the default where it has decided nothing.
    async fn get(&self, tenant: &TenantId) -> Result<Settings, PortError>;

    /// Replaces the settings of a tenant, and records [`SettingsChange::event`] if they were others.
    async fn set(&self, tenant: &TenantId, change: SettingsChange) -> Result<(), PortError>;
}

/// A change of a tenant's settings, asked for.
#[derive(Debug, Clone)]
pub struct SettingsChange {
    /// What they are to be.
    pub settings: Settings,
    /// Who asks, when and from where.
    pub act: Act,
}

impl SettingsChange {
    /// The event of the change of what they were before.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: &Settings) -> NewEvent {
        self.act
            .done(tenant, Action::SettingsSet, Object::Settings)
            .with("before", shown(before))
            .with("after", shown(&self.settings))
    }
}

fn shown(settings: &Settings) -> Value {
    json!({"auto_send": settings.auto_send})
}

/// What a tenant has decided, and what holds for it on this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingsInForce {
    /// What it has decided.
    pub settings: Settings,
    /// Whether what it sends is sent on to the engine without being asked to.
    pub auto_send: bool,
}

impl SettingsInForce {
    fn on(server: AutoSend, settings: Settings) -> Self {
        Self { settings, auto_send: server.is_in_force(&settings) }
    }
}

/// Why settings are neither shown nor changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Everything is to be sent to an engine, and there is none.
    #[error("no engine is configured")]
    EngineMissing,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AdminService {
    /// The settings of the caller's tenant.
    ///
    /// # Errors
    /// [`SettingsError`], but never [`SettingsError::EngineMissing`].
    pub async fn settings(&self, principal: &Principal) -> Result<SettingsInForce, SettingsError> {
        principal.require(Permission::SettingsManage)?;
        Ok(SettingsInForce::on(self.auto_send, self.stores.settings.get(principal.tenant()).await?))
    }

    /// Replaces the settings of the caller's tenant. They are in force from the next request on, on every server.
    ///
    /// # Errors
    /// [`SettingsError`]; they are as before then.
    pub async fn set_settings(
        &self,
        principal: &Principal,
        settings: Settings,
        origin: &Origin,
    ) -> Result<SettingsInForce, SettingsError> {
        principal.require(Permission::SettingsManage)?;
        if settings.auto_send == Some(true) && self.auto_send == AutoSend::NoEngine {
            return Err(SettingsError::EngineMissing);
        }
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.stores.settings.set(principal.tenant(), SettingsChange { settings, act }).await?;
        Ok(SettingsInForce::on(self.auto_send, settings))
    }
}

//! Administration: tenants, users, API keys, quotas and settings.
//!
//! Belongs here: the use cases, their permissions and errors, and the ports that they need. A use case takes the
//! [`Principal`](mass_domain::access::Principal) first and checks its permission before anything else; registering,
//! which strangers do, is the exception.
//! Does not belong here: how a credential is proved (`mass-auth`), HTTP, SQL.

mod api_keys;
mod passwords;
mod quotas;
mod read;
mod registration;
mod settings;
mod tenants;
mod users;

use std::sync::{Arc, Mutex};

use mass_auth::Passwords;
use mass_domain::tenancy::AutoSend;
use mass_domain::time::{Clock, Timestamp};
use uuid::{ContextV7, Uuid};

pub use api_keys::{BoundKey, CreateKeyError, CreatedKey, KeyStore, NewKey, RevokeKeyError, cascaded_revocation};
pub use quotas::{QuotaChange, QuotaError, QuotaStore};
pub use read::{ListQuery, ReadError};
pub use registration::{RegisterError, Registration};
pub use settings::{SettingsChange, SettingsError, SettingsInForce, SettingsStore};
pub use tenants::{CreateTenantError, CreatedTenant, NewTenant, TenantStore};
pub use users::{
    AccountStore, ChangeUserError, ChangedUser, CreateUserError, CreatedUser, NewUser, UserChange, Wanted,
};

/// The ports of administration.
#[derive(Clone)]
pub struct Stores {
    /// Tenants.
    pub tenants: Arc<dyn TenantStore>,
    /// The accounts of a tenant's users.
    pub accounts: Arc<dyn AccountStore>,
    /// The API keys of a tenant.
    pub api_keys: Arc<dyn KeyStore>,
    /// The quotas of a tenant.
    pub quotas: Arc<dyn QuotaStore>,
    /// The settings of a tenant.
    pub settings: Arc<dyn SettingsStore>,
}

/// The use cases of administration.
pub struct AdminService {
    stores: Stores,
    passwords: Passwords,
    registration: Registration,
    auto_send: AutoSend,
    clock: Arc<dyn Clock>,
    ids: Mutex<ContextV7>,
}

impl AdminService {
    /// Puts the use cases on top of their stores. `auto_send`: what this server does where a tenant has not decided.
    #[must_use]
    pub fn new(
        stores: Stores,
        passwords: Passwords,
        registration: Registration,
        auto_send: AutoSend,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { stores, passwords, registration, auto_send, clock, ids: Mutex::new(ContextV7::new()) }
    }

    /// A new id that carries the instant, and is greater than every id that this service made before.
    fn next_id(&self, at: Timestamp) -> Uuid {
        Uuid::new_v7(at.for_uuid(&self.ids))
    }
}

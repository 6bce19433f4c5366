//! Administration: tenants, users, API keys, quotas and settings.
//!
//! Belongs here: the use cases, their permissions and errors, and their ports. A use case takes the
//! [`Principal`](mass_domain::access::Principal) as its first argument and checks its permission before anything else.
//! RegistrationPolicy is the exception: its callers are not authenticated.
//! Does not belong here: verifying credentials (`mass-auth`), HTTP, SQL.
//!
//! The methods of the ports have one scheme of names: `find` returns one object or `None`, `get` returns one that
//! always exists, `list` returns a page; `create`, `change`, `set` and `revoke` change the store and append the audit
//! event in the same transaction.

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
pub use registration::{RegisterError, RegistrationPolicy};
pub use settings::{EffectiveSettings, SettingsChange, SettingsError, SettingsStore};
pub use tenants::{CreateTenantError, CreatedTenant, NewTenant, TenantStore};
pub use users::{
    AccountStore, ChangeUserError, ChangedUser, CreateUserError, CreatedUser, NewUser, UserChange, UserPatch,
};

/// The ports of administration.
#[derive(Clone)]
pub struct Stores {
    /// The tenants.
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
    registration: RegistrationPolicy,
    auto_send: AutoSend,
    clock: Arc<dyn Clock>,
    ids: Mutex<ContextV7>,
}

impl AdminService {
    /// Builds the use cases. `auto_send` is the server's default for tenants without a setting of their own.
    #[must_use]
    pub fn new(
        stores: Stores,
        passwords: Passwords,
        registration: RegistrationPolicy,
        auto_send: AutoSend,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { stores, passwords, registration, auto_send, clock, ids: Mutex::new(ContextV7::new()) }
    }

    /// Generates an id from the instant. Each id is greater than all earlier ids of this service.
    fn next_id(&self, at: Timestamp) -> Uuid {
        Uuid::new_v7(at.for_uuid(&self.ids))
    }
}

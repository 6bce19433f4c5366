//! Administration: tenants, users, sessions, API keys, quotas and settings.
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
mod erasure;
mod leaving;
mod lifecycle;
mod passwords;
mod quotas;
mod read;
mod registration;
mod sessions;
mod settings;
mod tenants;
mod usage;
mod users;

use std::sync::{Arc, Mutex};

use mass_auth::{Passwords, SessionStore};
use mass_domain::tenancy::AutoSend;
use mass_domain::time::{Clock, Timestamp};
use uuid::{ContextV7, Uuid};

pub use api_keys::{BoundKey, CreateKeyError, CreatedKey, KeyStore, NewKey, RevokeKeyError, cascaded_revocation};
pub use erasure::{Beginning, Eraser, ErasureStore, ErasureVisit, erased_event};
pub use leaving::{LeavingStore, PasswordReset, ResetUserPasswordError, UserDeletion};
pub use lifecycle::{LifecycleChange, LifecycleError, LifecycleState, LifecycleStep, LifecycleStore};
pub use quotas::{QuotaChange, QuotaError, QuotaStore};
pub use read::{ListQuery, ReadError};
pub use registration::{RegisterError, RegistrationPolicy};
pub use sessions::TenantSessionError;
pub use settings::{EffectiveSettings, SettingsChange, SettingsError, SettingsStore};
pub use tenants::{CreateTenantError, CreatedTenant, NewTenant, TenantStore};
pub use usage::{TenantCounts, TenantUsage, UsageStore};
pub use users::{
    AccountStore, ChangeUserError, ChangedUser, CreateUserError, CreatedUser, NewUser, UserChange, UserPatch,
};

/// The days between the request of a tenant's deletion and its erasure, unless they are set.
pub const DELETION_DAYS: u16 = 30;

/// The ports of administration.
#[derive(Clone)]
pub struct Stores {
    /// The tenants.
    pub tenants: Arc<dyn TenantStore>,
    /// Suspended and deleted tenants.
    pub lifecycle: Arc<dyn LifecycleStore>,
    /// The accounts of a tenant's users.
    pub accounts: Arc<dyn AccountStore>,
    /// Reset passwords and deleted users.
    pub leaving: Arc<dyn LeavingStore>,
    /// The API keys of a tenant.
    pub api_keys: Arc<dyn KeyStore>,
    /// The quotas of a tenant.
    pub quotas: Arc<dyn QuotaStore>,
    /// The sessions of a tenant's users.
    pub sessions: Arc<dyn SessionStore>,
    /// What tenants use.
    pub usage: Arc<dyn UsageStore>,
    /// The settings of a tenant.
    pub settings: Arc<dyn SettingsStore>,
}

/// The use cases of administration.
pub struct AdminService {
    stores: Stores,
    passwords: Passwords,
    registration: RegistrationPolicy,
    auto_send: AutoSend,
    deletion_days: u16,
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
        let (deletion_days, ids) = (DELETION_DAYS, Mutex::new(ContextV7::new()));
        Self { stores, passwords, registration, auto_send, deletion_days, clock, ids }
    }

    /// Sets the days between the request of a tenant's deletion and its erasure.
    #[must_use]
    pub fn with_deletion_days(self, deletion_days: u16) -> Self {
        Self { deletion_days, ..self }
    }

    /// Generates an id from the instant. Each id is greater than all earlier ids of this service.
    fn next_id(&self, at: Timestamp) -> Uuid {
        Uuid::new_v7(at.for_uuid(&self.ids))
    }
}

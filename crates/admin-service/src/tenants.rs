//! Tenants. A tenant is created together with its first administrator; otherwise nobody could log in to it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use mass_auth::{Account, NewPassword, created_user};
use mass_domain::access::{Forbidden, Permission, Principal, Role};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::page::{CursorScope, Limit, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Lifecycle, Tenant, TenantId};
use mass_domain::trace::Origin;
use mass_domain::users::Email;

use crate::AdminService;
use crate::api_keys::BoundKey;
use crate::passwords::from_passwords_error;
use crate::read::{ListQuery, ReadError};
use crate::users::CreatedUser;

/// The port that stores tenants. Each call is one transaction.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Creates a tenant, the account of its administrator and the first events of its audit log, or nothing.
    async fn insert(&self, tenant: Tenant, admin: Account, events: Vec<NewEvent>) -> Result<(), CreateTenantError>;

    /// Finds a tenant.
    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, PortError>;

    /// Lists tenants by slug, from above `after`: at most `limit + 1` rows.
    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError>;
}

/// The input for creating a tenant.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The tenant's slug.
    pub id: TenantId,
    /// The e-mail address of its first administrator.
    pub admin_email: Email,
    /// The administrator's password; generated if `None`.
    pub admin_password: Option<NewPassword>,
}

/// The result of creating a tenant.
#[derive(Debug)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// The first administrator.
    pub admin: CreatedUser,
}

/// Reason why a tenant is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateTenantError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The calling key is restricted to addresses or expires.
    #[error(transparent)]
    BoundKey(#[from] BoundKey),
    /// The slug is taken or reserved.
    #[error("this tenant exists already")]
    Taken,
    /// A user with the administrator's address exists, in any tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// Too many passwords are being hashed. A later attempt may succeed.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
    /// An internal error.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(CreateTenantError);

impl AdminService {
    /// Creates a tenant with its first administrator, who is also an operator there. The events are the first of the
    /// new tenant's audit log.
    ///
    /// # Errors
    /// [`CreateTenantError`]. Nothing is created then.
    pub async fn create_tenant(
        &self,
        principal: &Principal,
        new: NewTenant,
        origin: &Origin,
    ) -> Result<CreatedTenant, CreateTenantError> {
        principal.require(Permission::TenantsManage)?;
        self.require_unbound::<CreateTenantError>(principal).await?;
        if new.id.as_str() == TenantId::SYSTEM {
            return Err(CreateTenantError::Taken);
        }
        let password = self.initial_password(new.admin_password).await?;
        let tenant = Tenant { id: new.id, created_at: self.clock.now(), lifecycle: Lifecycle::default() };
        let roles = BTreeSet::from([Role::Admin, Role::Operator]);
        let user = self.new_user(tenant.id.clone(), new.admin_email, roles, tenant.created_at);
        let act = Act::new(principal.actor(), tenant.created_at, origin);
        let created = act.done(&tenant.id, Action::TenantCreated, Object::Tenant(tenant.id.clone()));
        let events = vec![created, created_user(&act, &user, &password.hash)];
        let account = Account { user: user.clone(), password: password.hash };
        self.stores.tenants.insert(tenant.clone(), account, events).await?;
        Ok(CreatedTenant { tenant, admin: CreatedUser { user, generated_password: password.generated } })
    }

    /// Returns a tenant.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn tenant(&self, principal: &Principal, id: &TenantId) -> Result<Tenant, ReadError> {
        principal.require(Permission::TenantsManage)?;
        self.stores.tenants.find(id).await?.ok_or(ReadError::NotFound)
    }

    /// Returns a page of tenants, ordered by slug.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::NotFound`].
    pub async fn tenants(&self, principal: &Principal, query: &ListQuery) -> Result<Page<Tenant>, ReadError> {
        principal.require(Permission::TenantsManage)?;
        let scope = CursorScope::of("tenants", []);
        let rows = self.stores.tenants.list(query.last_seen(scope)?, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.clone()))
    }
}

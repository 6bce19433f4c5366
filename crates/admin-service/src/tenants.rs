//! Tenants: created together with the first administrator of each, since otherwise nobody could log in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use mass_auth::{Account, NewPassword, created_user};
use mass_domain::access::{Forbidden, Permission, Principal, Role};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::page::{CursorScope, Limit, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Tenant, TenantId};
use mass_domain::trace::Origin;
use mass_domain::users::Email;

use crate::AdminService;
use crate::api_keys::BoundKey;
use crate::passwords::from_passwords_error;
use crate::read::{ListQuery, ReadError};
use crate::users::CreatedUser;

/// Keeps tenants. Each call is one unit of work.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Creates a tenant and the account of its administrator, with which the tenant's log begins, or neither.
    async fn create(&self, tenant: Tenant, admin: Account, events: Vec<NewEvent>) -> Result<(), CreateTenantError>;

    /// Finds a tenant.
    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, PortError>;

    /// Lists tenants by their slugs, beginning above `after`: at most one row more than the limit.
    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError>;
}

/// A tenant to be created.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its slug.
    pub id: TenantId,
    /// The address of its first administrator.
    pub admin_email: Email,
    /// That administrator's password; one is made up if none is given.
    pub admin_password: Option<NewPassword>,
}

/// A tenant, just created.
#[derive(Debug)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// Its first administrator.
    pub admin: CreatedUser,
}

/// Why a tenant is not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateTenantError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The calling key is bound to addresses or expires.
    #[error(transparent)]
    BoundKey(#[from] BoundKey),
    /// The slug is another tenant's, or MASS's own.
    #[error("this tenant exists already")]
    Taken,
    /// A user with the administrator's address exists, in whatever tenant.
    #[error("a user with this e-mail address exists already")]
    EmailTaken,
    /// Too many passwords are being hashed; trying again later helps.
    #[error("too many passwords are being hashed at the moment")]
    Busy,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A fault of MASS or of its surroundings.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
from_passwords_error!(CreateTenantError);

impl AdminService {
    /// Creates a tenant with its first administrator, who is also an operator there. The events stand in the new
    /// tenant's log, of which they are the first.
    ///
    /// # Errors
    /// [`CreateTenantError`]; nothing is created then.
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
        let tenant = Tenant { id: new.id, created_at: self.clock.now() };
        let roles = BTreeSet::from([Role::Admin, Role::Operator]);
        let user = self.new_user(tenant.id.clone(), new.admin_email, roles, tenant.created_at);
        let act = Act::new(principal.actor(), tenant.created_at, origin);
        let created = act.done(&tenant.id, Action::TenantCreated, Object::Tenant(tenant.id.clone()));
        let events = vec![created, created_user(&act, &user, &password.hash)];
        let account = Account { user: user.clone(), password: password.hash };
        self.stores.tenants.create(tenant.clone(), account, events).await?;
        Ok(CreatedTenant { tenant, admin: CreatedUser { user, generated_password: password.generated } })
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn tenant(&self, principal: &Principal, id: &TenantId) -> Result<Tenant, ReadError> {
        principal.require(Permission::TenantsManage)?;
        self.stores.tenants.find(id).await?.ok_or(ReadError::NotFound)
    }

    /// A page of tenants, by their slugs.
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

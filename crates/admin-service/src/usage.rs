//! What the tenants use, for administrators of the platform.

use async_trait::async_trait;
use mass_domain::access::{Permission, Principal};
use mass_domain::page::{CursorScope, Page};
use mass_domain::port::PortError;
use mass_domain::tenancy::{Quotas, Tenant, TenantId, Usage};
use mass_domain::time::Timestamp;

use crate::AdminService;
use crate::read::{ListQuery, ReadError};

/// The port that counts what tenants use.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Counts what each of these tenants uses, in their order.
    async fn counts(&self, tenants: Vec<TenantId>) -> Result<Vec<TenantCounts>, PortError>;
}

/// What a tenant uses, and may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantCounts {
    /// The current requests: neither deleted nor superseded, as far as figures know of them.
    pub documents: u64,
    /// The devices that documents name, as far as figures know of them.
    pub devices: u64,
    /// The users who are not deleted.
    pub users: u64,
    /// The bytes of records in the quarantine.
    pub quarantine_bytes: u64,
    /// The time of the last receipt of a document.
    pub last_received_at: Option<Timestamp>,
    /// What counts against the quotas.
    pub usage: Usage,
    /// The quotas.
    pub quotas: Quotas,
}

/// A tenant with what it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUsage {
    /// The tenant.
    pub tenant: Tenant,
    /// What it uses. Of requests, those of the present day are counted.
    pub counts: TenantCounts,
}

impl AdminService {
    /// Returns a page of what the tenants use, ordered by slug.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::NotFound`].
    pub async fn tenants_usage(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<TenantUsage>, ReadError> {
        principal.require(Permission::TenantsManage)?;
        let scope = CursorScope::of("tenants-usage", []);
        let tenants = self.stores.tenants.list(query.last_seen(scope)?, query.limit).await?;
        let Page { items, next_cursor } = Page::from_lookahead(tenants, query.limit, scope, |row| row.id.clone());
        let counts = self.stores.usage.counts(items.iter().map(|tenant| tenant.id.clone()).collect()).await?;
        let now = self.clock.now();
        let today = |counts: TenantCounts| TenantCounts { usage: counts.usage.on_day_of(now), ..counts };
        let of_tenant = |(tenant, counts)| TenantUsage { tenant, counts: today(counts) };
        Ok(Page { items: items.into_iter().zip(counts).map(of_tenant).collect(), next_cursor })
    }
}

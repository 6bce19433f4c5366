//! Reports: asking for one, and reading it.

use mass_analytics_service::HoursError;
use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::savings::{AsOf, Design, Project, ReportFailure, ReportState};
use mass_domain::tenancy::{OverQuota, Quotas, TenantId, Usage};
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;
use uuid::Uuid;

use crate::SavingsService;
use crate::hours::{hours_query, report_data};
use crate::writer::{ReportData, SignedDocument};

/// The most reports of a tenant that wait or are being computed.
pub const MAX_OPEN_REPORTS: u64 = 10;

/// The most bytes of stored reports of a tenant: 1 GiB.
pub const MAX_STORED_BYTES: u64 = 1 << 30;

/// Reason for which a report is not read or asked for.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The tenant has no such project, or the project no such report.
    #[error("no such savings project or report")]
    NotFound,
    /// The schedule of the crossover is not drawn.
    #[error("the schedule is not drawn")]
    NoSchedule,
    /// As many reports wait as may.
    #[error("{MAX_OPEN_REPORTS} reports wait or are being computed, the most")]
    TooManyOpen,
    /// The stored reports take as many bytes as they may.
    #[error("the stored reports take {MAX_STORED_BYTES} bytes, the most")]
    Full,
    /// The quota of the tenant does not leave room for the report.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The site has too many series.
    #[error("{0}")]
    TooManySeries(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<HoursError> for ReportError {
    fn from(error: HoursError) -> Self {
        match error {
            HoursError::Forbidden(error) => Self::Forbidden(error),
            HoursError::TooMany => Self::TooManySeries(error.to_string()),
            HoursError::Store(error) => Self::Store(error),
        }
    }
}

/// A report without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSummary {
    /// Its id.
    pub id: SavingsReportId,
    /// The project.
    pub project_id: SavingsProjectId,
    /// The version of the project that it is about.
    pub project_version: u32,
    /// Its state.
    pub state: ReportState,
    /// The time at which it was asked for.
    pub requested_at: Timestamp,
    /// The actor who asked for it.
    pub requested_by: Actor,
    /// The time at which it was done or failed.
    pub finished_at: Option<Timestamp>,
    /// The reason for which it failed.
    pub failure: Option<ReportFailure>,
    /// The events that its hours follow from, once it is done.
    pub as_of: Option<AsOf>,
}

/// A report as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// All but its document.
    pub summary: ReportSummary,
    /// Its document, once it is done.
    pub signed: Option<SignedDocument>,
}

/// The reports that a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportLoad {
    /// The number of those that wait or are being computed.
    pub open: u64,
    /// The bytes of all documents.
    pub bytes: u64,
    /// The quotas of the tenant.
    pub quotas: Quotas,
    /// What counts against them.
    pub usage: Usage,
}

/// A report to be queued.
#[derive(Debug, Clone)]
pub struct ReportRequest {
    /// Its id.
    pub id: SavingsReportId,
    /// The project.
    pub project_id: SavingsProjectId,
    /// The actor, the time and the origin.
    pub act: Act,
}

impl ReportRequest {
    /// Decides on the request. The report is about this version of the project, whatever changes meanwhile.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn judge(&self, project: Option<&Project>, load: ReportLoad) -> Result<ReportSummary, ReportError> {
        let project = project.ok_or(ReportError::NotFound)?;
        if matches!(project.terms.design, Design::Crossover { .. }) && project.schedule.is_none() {
            return Err(ReportError::NoSchedule);
        }
        if load.open >= MAX_OPEN_REPORTS {
            return Err(ReportError::TooManyOpen);
        }
        if load.bytes >= MAX_STORED_BYTES {
            return Err(ReportError::Full);
        }
        // How long the report will be is not known: one that has begun is stored.
        load.usage.admit_bytes(&load.quotas, project.text().len() as u64)?;
        Ok(ReportSummary {
            id: self.id,
            project_id: project.id,
            project_version: project.version,
            state: ReportState::Queued,
            requested_at: self.act.at,
            requested_by: self.act.actor,
            finished_at: None,
            failure: None,
            as_of: None,
        })
    }

    /// Builds the event of the request. Its output is the fingerprint of the project's version.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, project: &Project, fingerprint: Fingerprint) -> NewEvent {
        let event = self.act.done(tenant, Action::SavingsReportRequested, Object::SavingsReport(self.id));
        let mut event = event.with("project", project.id.to_string()).with("version", project.version);
        event.output = Some(fingerprint);
        event
    }
}

/// The deletion of a report.
#[derive(Debug, Clone)]
pub struct ReportDeletion {
    /// The report.
    pub id: SavingsReportId,
    /// The actor, the time and the origin of the deletion.
    pub act: Act,
}

impl ReportDeletion {
    /// Builds the event of the deletion of a project's report in a state.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, project: SavingsProjectId, state: ReportState) -> NewEvent {
        let event = self.act.done(tenant, Action::SavingsReportDeleted, Object::SavingsReport(self.id));
        event.with("project", project.to_string()).with("state", state.as_str())
    }
}

impl SavingsService {
    /// Queues a report on the present version of a project of the caller's tenant.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn request_report(
        &self,
        principal: &Principal,
        project_id: SavingsProjectId,
        origin: &Origin,
    ) -> Result<ReportSummary, ReportError> {
        principal.require(Permission::SavingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let id = SavingsReportId::from_uuid(self.next_id(act.at));
        self.store.insert_report(principal.tenant(), ReportRequest { id, project_id, act }).await
    }

    /// Reads what a report on the present version of a project would be written from, without storing anything.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn report_data(
        &self,
        principal: &Principal,
        project_id: SavingsProjectId,
    ) -> Result<ReportData, ReportError> {
        principal.require(Permission::AnalyticsRead)?;
        let stored = self.store.find(principal.tenant(), project_id).await?.ok_or(ReportError::NotFound)?;
        let project = stored.project;
        let query = hours_query(&project).map_err(|_| ReportError::NoSchedule)?;
        let answer = self.analytics.site_hours(principal, query).await?;
        Ok(report_data(project, &answer))
    }

    /// Deletes a report of the caller's tenant. One that waits or is being computed is cancelled by it.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn delete_report(
        &self,
        principal: &Principal,
        id: SavingsReportId,
        origin: &Origin,
    ) -> Result<(), ReportError> {
        principal.require(Permission::SavingsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        self.store.delete_report(principal.tenant(), ReportDeletion { id, act }).await
    }

    /// Returns a report of the caller's tenant.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn get_report(&self, principal: &Principal, id: SavingsReportId) -> Result<StoredReport, ReportError> {
        principal.require(Permission::AnalyticsRead)?;
        self.store.find_report(principal.tenant(), id).await?.ok_or(ReportError::NotFound)
    }

    /// Returns a page of the reports of a project of the caller's tenant, the newest first.
    ///
    /// # Errors
    /// [`ReportError`].
    pub async fn list_reports(
        &self,
        principal: &Principal,
        project_id: SavingsProjectId,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<ReportSummary>, ReportError> {
        principal.require(Permission::AnalyticsRead)?;
        let (tenant, project) = (principal.tenant(), project_id.to_string());
        let scope = CursorScope::of("savings-reports", [Some(tenant.as_str()), Some(&project)]);
        let before: Option<Uuid> = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(SavingsReportId::from_uuid);
        let rows = self.store.list_reports(tenant, project_id, before, limit).await?.ok_or(ReportError::NotFound)?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.id.as_uuid()))
    }
}

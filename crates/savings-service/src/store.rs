//! The ports: the store of projects and reports, and the queue of the reports that are to be computed.

use async_trait::async_trait;
use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::savings::{AsOf, Project, ReportFailure};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::change::{NewProject, ProjectChange, ProjectDeletion, ProjectError, StoredProject};
use crate::reports::{ReportDeletion, ReportError, ReportRequest, ReportSummary, StoredReport};
use crate::writer::SignedDocument;

/// A project in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSummary {
    /// Its id.
    pub id: SavingsProjectId,
    /// Its version.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Its site.
    pub site_id: String,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The creator.
    pub created_by: Actor,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The author of the last change.
    pub updated_by: Actor,
}

/// The port that stores projects and reports. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait SavingsStore: Send + Sync {
    /// Inserts a project as [`NewProject::judge`] decides, and appends [`NewProject::event`].
    async fn insert(&self, tenant: &TenantId, new: NewProject) -> Result<StoredProject, ProjectError>;

    /// Finds a project.
    async fn find(&self, tenant: &TenantId, id: SavingsProjectId) -> Result<Option<StoredProject>, PortError>;

    /// Lists projects with ids below `before`, the newest (greatest id) first: at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        before: Option<SavingsProjectId>,
        limit: Limit,
    ) -> Result<Vec<ProjectSummary>, PortError>;

    /// Changes a project as [`ProjectChange::judge`] decides, and appends [`ProjectChange::event`] if it changes.
    async fn change(&self, tenant: &TenantId, change: ProjectChange) -> Result<StoredProject, ProjectError>;

    /// Deletes a project as [`ProjectDeletion::judge`] decides, and appends [`ProjectDeletion::event`].
    async fn delete(&self, tenant: &TenantId, deletion: ProjectDeletion) -> Result<(), ProjectError>;

    /// Queues a report as [`ReportRequest::judge`] decides, and appends [`ReportRequest::event`].
    async fn insert_report(&self, tenant: &TenantId, request: ReportRequest) -> Result<ReportSummary, ReportError>;

    /// Deletes a report with its place in the queue, and appends [`ReportDeletion::event`].
    async fn delete_report(&self, tenant: &TenantId, deletion: ReportDeletion) -> Result<(), ReportError>;

    /// Finds a report.
    async fn find_report(&self, tenant: &TenantId, id: SavingsReportId) -> Result<Option<StoredReport>, PortError>;

    /// Lists the reports of a project as [`list`](Self::list) lists projects; `None` if there is no such project.
    async fn list_reports(
        &self,
        tenant: &TenantId,
        project: SavingsProjectId,
        before: Option<SavingsReportId>,
        limit: Limit,
    ) -> Result<Option<Vec<ReportSummary>>, PortError>;
}

/// The claim of a report by a worker. It holds until another worker takes the report after the end of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportClaim {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The report.
    pub report_id: SavingsReportId,
    /// The number of claims of the report, this one included. It tells an earlier holder from the present one.
    pub fence: i64,
}

/// A report that is to be computed now.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedReport {
    /// The claim.
    pub claim: ReportClaim,
    /// The version of the project that it is about.
    pub project: Project,
    /// The sequence of the event of its request. The hours have to follow from this event and those before it, at least.
    pub sequence: i64,
    /// The time of its request.
    pub requested_at: Timestamp,
    /// The number of times that a computation has begun, this one included.
    pub attempts: u32,
}

/// The result of a computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It is done.
    Done {
        /// The document with its signature.
        signed: SignedDocument,
        /// The events that its hours follow from.
        as_of: AsOf,
    },
    /// It cannot be computed, for this reason.
    Failed(ReportFailure),
}

impl ReportOutcome {
    /// Builds the event of the outcome. Its output is the fingerprint of the document.
    #[must_use]
    pub fn event(&self, claimed: &ReportClaim, project: SavingsProjectId, act: &Act) -> NewEvent {
        let object = Object::SavingsReport(claimed.report_id);
        let of = |action| act.done(&claimed.tenant_id, action, object).with("project", project.to_string());
        match self {
            Self::Done { signed, as_of } => {
                let mut event = of(Action::SavingsReported).with("sequence", as_of.sequence);
                event.output = Some(Fingerprint::of(&signed.document));
                event
            }
            Self::Failed(failure) => of(Action::SavingsReportFailed).with("reason", failure.detail.as_str()),
        }
    }
}

/// The queue of reports, for the workers of all servers. A report is in it until it is done or has failed.
#[async_trait]
pub trait ReportQueue: Send + Sync {
    /// Claims the report that is due first, of any tenant, until the end of a lease; `None` if none is due. A report whose
    /// lease has ended is due again.
    async fn claim(
        &self,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedReport>, PortError>;

    /// Extends the lease of a claim. Returns false if the claim does not hold any more.
    async fn extend(&self, claim: &ReportClaim, until: Timestamp) -> Result<bool, PortError>;

    /// Ends a claim without a result: the report is due again from an instant on, and the attempt does not count. Returns
    /// false if the claim does not hold any more.
    async fn postpone(&self, claim: &ReportClaim, due_at: Timestamp) -> Result<bool, PortError>;

    /// Stores an outcome, and appends [`ReportOutcome::event`]. Returns false, and stores nothing, if the claim does not
    /// hold any more.
    async fn finish(&self, claim: &ReportClaim, outcome: ReportOutcome, at: Timestamp) -> Result<bool, PortError>;
}

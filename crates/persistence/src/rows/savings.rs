//! Rows of savings projects and of their reports.

use diesel::prelude::*;
use mass_domain::audit::Act;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::savings::{AsOf, Project, ReportFailure, ReportFailureCode, ReportState};
use mass_domain::tenancy::TenantId;
use mass_domain::trace::{Origin, RequestId, TraceParent};
use mass_savings_service::{ProjectSummary, ReportSummary, SignedDocument, StoredProject, StoredReport};

use super::{actor, corrupt};
use crate::columns::{Id, Instant, Json, Word};
use crate::schema::{savings_projects, savings_reports};

/// A savings project.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = savings_projects, treat_none_as_default_value = false)]
pub(crate) struct SavingsProjectRow {
    tenant_id: Word<TenantId>,
    #[diesel(embed)]
    summary: SavingsProjectSummaryRow,
    project: String,
}

/// A savings project as lists show it.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = savings_projects, treat_none_as_default_value = false)]
pub(crate) struct SavingsProjectSummaryRow {
    id: Id,
    version: i64,
    name: String,
    site_id: String,
    created_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

/// The columns of a savings project that a change replaces.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = savings_projects, treat_none_as_null = true)]
pub(crate) struct SavingsProjectChangeset {
    version: i64,
    name: String,
    site_id: String,
    project: String,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

impl SavingsProjectRow {
    /// Builds the row of a tenant's project, whose canonical text is `text`.
    pub(crate) fn new(tenant: &TenantId, stored: &StoredProject, text: String) -> Self {
        let StoredProject { project, created_at, created_by, updated_at, updated_by } = stored;
        let summary = SavingsProjectSummaryRow {
            id: Id(project.id.as_uuid()),
            version: project.version.into(),
            name: project.terms.name.clone(),
            site_id: project.terms.site_id.clone(),
            created_at: Instant(*created_at),
            created_by_kind: created_by.kind().to_owned(),
            created_by_id: created_by.id().map(Id),
            updated_at: Instant(*updated_at),
            updated_by_kind: updated_by.kind().to_owned(),
            updated_by_id: updated_by.id().map(Id),
        };
        Self { tenant_id: Word(tenant.clone()), summary, project: text }
    }

    /// Builds the project.
    pub(crate) fn into_project(self) -> QueryResult<StoredProject> {
        let project = serde_json::from_str(&self.project).map_err(corrupt)?;
        let ProjectSummary { created_at, created_by, updated_at, updated_by, .. } = self.summary.into_summary()?;
        Ok(StoredProject { project, created_at, created_by, updated_at, updated_by })
    }
}

impl SavingsProjectSummaryRow {
    /// Builds the project as lists show it.
    pub(crate) fn into_summary(self) -> QueryResult<ProjectSummary> {
        Ok(ProjectSummary {
            id: SavingsProjectId::from_uuid(self.id.0),
            version: version(self.version)?,
            name: self.name,
            site_id: self.site_id,
            created_at: self.created_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            updated_at: self.updated_at.0,
            updated_by: actor(&self.updated_by_kind, self.updated_by_id)?,
        })
    }
}

impl SavingsProjectChangeset {
    /// Builds the columns from the next version, whose canonical text is `text`.
    pub(crate) fn new(project: &Project, text: String, act: &Act) -> Self {
        Self {
            version: project.version.into(),
            name: project.terms.name.clone(),
            site_id: project.terms.site_id.clone(),
            project: text,
            updated_at: Instant(act.at),
            updated_by_kind: act.actor.kind().to_owned(),
            updated_by_id: act.actor.id().map(Id),
        }
    }
}

fn version(stored: i64) -> QueryResult<u32> {
    u32::try_from(stored).map_err(corrupt)
}

/// A report that is queued.
#[derive(Debug, Insertable)]
#[diesel(table_name = savings_reports, treat_none_as_default_value = false)]
pub(crate) struct NewSavingsReportRow {
    tenant_id: Word<TenantId>,
    id: Id,
    project_id: Id,
    project_version: i64,
    project: String,
    sequence: i64,
    state: Word<ReportState>,
    attempts: i64,
    requested_at: Instant,
    requested_by_kind: String,
    requested_by_id: Option<Id>,
    call_id: String,
    traceparent: Option<String>,
    bytes: i64,
}

impl NewSavingsReportRow {
    /// Builds the row of a report, whose request has this sequence. `project` is the canonical text of its project.
    pub(crate) fn new(tenant: &TenantId, report: &ReportSummary, project: String, act: &Act, sequence: i64) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(report.id.as_uuid()),
            project_id: Id(report.project_id.as_uuid()),
            project_version: report.project_version.into(),
            bytes: i64::try_from(project.len()).unwrap_or(i64::MAX),
            project,
            sequence,
            state: Word(report.state),
            attempts: 0,
            requested_at: Instant(report.requested_at),
            requested_by_kind: report.requested_by.kind().to_owned(),
            requested_by_id: report.requested_by.id().map(Id),
            call_id: act.origin.request_id.as_str().to_owned(),
            traceparent: act.origin.trace.map(|trace| trace.to_string()),
        }
    }
}

/// A report without its document.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = savings_reports)]
pub(crate) struct SavingsReportSummaryRow {
    id: Id,
    project_id: Id,
    project_version: i64,
    state: Word<ReportState>,
    requested_at: Instant,
    requested_by_kind: String,
    requested_by_id: Option<Id>,
    finished_at: Option<Instant>,
    failure_code: Option<Word<ReportFailureCode>>,
    failure: Option<String>,
    as_of_sequence: Option<i64>,
    as_of_root: Option<String>,
}

impl SavingsReportSummaryRow {
    /// Builds the report.
    pub(crate) fn into_summary(self) -> QueryResult<ReportSummary> {
        Ok(ReportSummary {
            id: SavingsReportId::from_uuid(self.id.0),
            project_id: SavingsProjectId::from_uuid(self.project_id.0),
            project_version: version(self.project_version)?,
            state: self.state.0,
            requested_at: self.requested_at.0,
            requested_by: actor(&self.requested_by_kind, self.requested_by_id)?,
            finished_at: self.finished_at.map(|at| at.0),
            failure: self.failure.map(|detail| ReportFailure { code: self.failure_code.map(|code| code.0), detail }),
            as_of: self.as_of_sequence.zip(self.as_of_root).map(|(sequence, root)| AsOf { sequence, root }),
        })
    }
}

/// A report.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = savings_reports)]
pub(crate) struct SavingsReportRow {
    #[diesel(embed)]
    summary: SavingsReportSummaryRow,
    document: Option<String>,
    note: Option<String>,
}

impl SavingsReportRow {
    /// Builds the report.
    pub(crate) fn into_report(self) -> QueryResult<StoredReport> {
        let signed = self.document.zip(self.note).map(|(document, note)| SignedDocument { document, note });
        Ok(StoredReport { summary: self.summary.into_summary()?, signed })
    }
}

/// A report as a worker takes it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = savings_reports)]
pub(crate) struct ClaimedReportRow {
    /// The version of the project.
    pub(crate) project: Json<Project>,
    /// The sequence of the event of its request.
    pub(crate) sequence: i64,
    /// The time of its request.
    pub(crate) requested_at: Instant,
    /// The number of attempts that have begun.
    pub(crate) attempts: i64,
}

/// The request of a report, as the event of its outcome tells of it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = savings_reports)]
pub(crate) struct ReportOriginRow {
    pub(crate) project_id: Id,
    call_id: String,
    traceparent: Option<String>,
}

impl ReportOriginRow {
    /// Returns the origin of the request.
    pub(crate) fn origin(&self) -> QueryResult<Origin> {
        let trace: Option<Result<TraceParent, _>> = self.traceparent.as_deref().map(str::parse);
        Ok(Origin {
            request_id: RequestId::parse(&self.call_id).map_err(corrupt)?,
            trace: trace.transpose().map_err(corrupt)?,
            address: None,
        })
    }
}

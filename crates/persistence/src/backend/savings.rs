//! Savings projects and their reports: the port and its transactions.

use async_trait::async_trait;
use diesel::dsl::{count_star, exists, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_savings_service::{
    NewProject, ProjectChange, ProjectDeletion, ProjectError, ProjectSummary, ReportDeletion, ReportError, ReportLoad,
    ReportRequest, ReportSummary, SavingsStore, StoredProject, StoredReport,
};

use super::audit::{Head, column, count};
use super::{Connection, Store, quotas};
use crate::columns::{Id, Instant};
use crate::rows::{
    NewSavingsReportRow, SavingsProjectChangeset, SavingsProjectRow, SavingsProjectSummaryRow, SavingsReportRow,
    SavingsReportSummaryRow,
};
use crate::schema::{savings_projects, savings_queue, savings_reports};

#[async_trait]
impl SavingsStore for Store {
    async fn insert(&self, tenant: &TenantId, new: NewProject) -> Result<StoredProject, ProjectError> {
        self.writes.run_for(tenant, move |connection, tenant| insert(connection, tenant, &new)).await?
    }

    async fn find(&self, tenant: &TenantId, id: SavingsProjectId) -> Result<Option<StoredProject>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        before: Option<SavingsProjectId>,
        limit: Limit,
    ) -> Result<Vec<ProjectSummary>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, before, limit)).await
    }

    async fn change(&self, tenant: &TenantId, change: ProjectChange) -> Result<StoredProject, ProjectError> {
        self.writes.run_for(tenant, move |connection, tenant| apply(connection, tenant, &change)).await?
    }

    async fn delete(&self, tenant: &TenantId, deletion: ProjectDeletion) -> Result<(), ProjectError> {
        self.writes.run_for(tenant, move |connection, tenant| delete(connection, tenant, &deletion)).await?
    }

    async fn insert_report(&self, tenant: &TenantId, request: ReportRequest) -> Result<ReportSummary, ReportError> {
        self.writes.run_for(tenant, move |connection, tenant| insert_report(connection, tenant, &request)).await?
    }

    async fn delete_report(&self, tenant: &TenantId, deletion: ReportDeletion) -> Result<(), ReportError> {
        self.writes.run_for(tenant, move |connection, tenant| delete_report(connection, tenant, &deletion)).await?
    }

    async fn find_report(&self, tenant: &TenantId, id: SavingsReportId) -> Result<Option<StoredReport>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find_report(connection, tenant, id)).await
    }

    async fn list_reports(
        &self,
        tenant: &TenantId,
        project: SavingsProjectId,
        before: Option<SavingsReportId>,
        limit: Limit,
    ) -> Result<Option<Vec<ReportSummary>>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| list_reports(connection, tenant, project, before, limit))
            .await
    }
}

/// Stores a new project as it is judged.
fn insert(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewProject,
) -> QueryResult<Result<StoredProject, ProjectError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let projects: i64 = savings_projects::table
            .filter(savings_projects::tenant_id.eq(tenant.as_str()))
            .select(count_star())
            .first(connection)?;
        let stored = match new.judge(count(projects)) {
            Ok(stored) => stored,
            Err(error) => return Ok(Err(error)),
        };
        let text = stored.project.text();
        let fingerprint = Fingerprint::of(&text);
        let row = SavingsProjectRow::new(tenant, &stored, text);
        diesel::insert_into(savings_projects::table).values(row).execute(connection)?;
        head.append(connection, [new.event(tenant, fingerprint)])?;
        Ok(Ok(stored))
    })
}

fn find(connection: &mut Connection, tenant: &TenantId, id: SavingsProjectId) -> QueryResult<Option<StoredProject>> {
    savings_projects::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(SavingsProjectRow::as_select())
        .first(connection)
        .optional()?
        .map(SavingsProjectRow::into_project)
        .transpose()
}

fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    before: Option<SavingsProjectId>,
    limit: Limit,
) -> QueryResult<Vec<ProjectSummary>> {
    let mut query = savings_projects::table
        .filter(savings_projects::tenant_id.eq(tenant.as_str()))
        .select(SavingsProjectSummaryRow::as_select())
        .order(savings_projects::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(savings_projects::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(SavingsProjectSummaryRow::into_summary).collect()
}

/// Changes a project as it is judged.
fn apply(
    connection: &mut Connection,
    tenant: &TenantId,
    change: &ProjectChange,
) -> QueryResult<Result<StoredProject, ProjectError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let Some(stored) = find(connection, tenant, change.id)? else { return Ok(Err(ProjectError::NotFound)) };
        let next = match change.judge(&stored.project) {
            Ok(Some(next)) => next,
            Ok(None) => return Ok(Ok(stored)),
            Err(error) => return Ok(Err(error)),
        };
        let text = next.text();
        let fingerprint = Fingerprint::of(&text);
        diesel::update(savings_projects::table.find((tenant.as_str(), Id(change.id.as_uuid()))))
            .set(SavingsProjectChangeset::new(&next, text, &change.act))
            .execute(connection)?;
        head.append(connection, [change.event(tenant, &next, fingerprint)])?;
        let (updated_at, updated_by) = (change.act.at, change.act.actor);
        Ok(Ok(StoredProject { project: next, updated_at, updated_by, ..stored }))
    })
}

/// Deletes a project as it is judged.
fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    deletion: &ProjectDeletion,
) -> QueryResult<Result<(), ProjectError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let Some(stored) = find(connection, tenant, deletion.id)? else { return Ok(Err(ProjectError::NotFound)) };
        let id = Id(deletion.id.as_uuid());
        let reports = savings_reports::table
            .filter(savings_reports::tenant_id.eq(tenant.as_str()))
            .filter(savings_reports::project_id.eq(id));
        let has_reports: bool = diesel::select(exists(reports)).get_result(connection)?;
        let version = stored.project.version;
        if let Err(error) = deletion.judge(version, has_reports) {
            return Ok(Err(error));
        }
        diesel::delete(savings_projects::table.find((tenant.as_str(), id))).execute(connection)?;
        head.append(connection, [deletion.event(tenant, version)])?;
        Ok(Ok(()))
    })
}

/// Deletes a report with its place in the queue. A worker that computes it has lost it then.
fn delete_report(
    connection: &mut Connection,
    tenant: &TenantId,
    deletion: &ReportDeletion,
) -> QueryResult<Result<(), ReportError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let key = (tenant.as_str(), Id(deletion.id.as_uuid()));
        // It is locked before the report is, as workers do.
        diesel::delete(savings_queue::table.find(key)).execute(connection)?;
        let report = savings_reports::table.find(key);
        let row: Option<(SavingsReportSummaryRow, i64)> = report
            .select((SavingsReportSummaryRow::as_select(), savings_reports::bytes))
            .first(connection)
            .optional()?;
        let Some((row, bytes)) = row else { return Ok(Err(ReportError::NotFound)) };
        let ReportSummary { project_id, state, .. } = row.into_summary()?;
        diesel::delete(report).execute(connection)?;
        quotas::give_back(connection, tenant, usize::try_from(bytes).unwrap_or_default())?;
        head.append(connection, [deletion.event(tenant, project_id, state)])?;
        Ok(Ok(()))
    })
}

/// Queues a report as it is judged.
fn insert_report(
    connection: &mut Connection,
    tenant: &TenantId,
    request: &ReportRequest,
) -> QueryResult<Result<ReportSummary, ReportError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = find(connection, tenant, request.project_id)?;
        let project = stored.as_ref().map(|stored| &stored.project);
        let (report, project) = match request.judge(project, load(connection, tenant)?).map(|it| (it, project)) {
            Ok((report, Some(project))) => (report, project),
            Ok((_, None)) => return Ok(Err(ReportError::NotFound)),
            Err(error) => return Ok(Err(error)),
        };
        let text = project.text();
        let event = request.event(tenant, project, Fingerprint::of(&text));
        let sequence = column(head.advance(connection, [event])?.to.size());
        quotas::take(connection, tenant, text.len())?;
        let row = NewSavingsReportRow::new(tenant, &report, text, &request.act, sequence);
        diesel::insert_into(savings_reports::table).values(row).execute(connection)?;
        diesel::insert_into(savings_queue::table)
            .values((
                savings_queue::tenant_id.eq(tenant.as_str()),
                savings_queue::report_id.eq(Id(report.id.as_uuid())),
                savings_queue::due_at.eq(Instant(report.requested_at)),
                savings_queue::fence.eq(0),
            ))
            .execute(connection)?;
        Ok(Ok(report))
    })
}

/// Counts the reports of a tenant. Open ones are those that have a place in the queue.
fn load(connection: &mut Connection, tenant: &TenantId) -> QueryResult<ReportLoad> {
    let open: i64 = savings_queue::table
        .filter(savings_queue::tenant_id.eq(tenant.as_str()))
        .select(count_star())
        .first(connection)?;
    // The databases give sums different types.
    let bytes = sql::<BigInt>("CAST(coalesce(sum(bytes), 0) AS bigint)");
    let of_tenant = savings_reports::table.filter(savings_reports::tenant_id.eq(tenant.as_str()));
    let bytes: i64 = of_tenant.select(bytes).first(connection)?;
    let state = quotas::tenant_state(connection, tenant)?;
    Ok(ReportLoad { open: count(open), bytes: count(bytes), quotas: state.quotas, usage: state.usage })
}

fn find_report(
    connection: &mut Connection,
    tenant: &TenantId,
    id: SavingsReportId,
) -> QueryResult<Option<StoredReport>> {
    savings_reports::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(SavingsReportRow::as_select())
        .first(connection)
        .optional()?
        .map(SavingsReportRow::into_report)
        .transpose()
}

fn list_reports(
    connection: &mut Connection,
    tenant: &TenantId,
    project: SavingsProjectId,
    before: Option<SavingsReportId>,
    limit: Limit,
) -> QueryResult<Option<Vec<ReportSummary>>> {
    let known = savings_projects::table.find((tenant.as_str(), Id(project.as_uuid())));
    if known.select(savings_projects::version).first::<i64>(connection).optional()?.is_none() {
        return Ok(None);
    }
    let mut query = savings_reports::table
        .filter(savings_reports::tenant_id.eq(tenant.as_str()))
        .filter(savings_reports::project_id.eq(Id(project.as_uuid())))
        .select(SavingsReportSummaryRow::as_select())
        .order(savings_reports::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(savings_reports::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(SavingsReportSummaryRow::into_summary).collect::<QueryResult<_>>().map(Some)
}

//! The queue of savings reports: the port of its workers and its transactions.
//!
//! A claim is taken over all tenants; what follows from it is written within the report's tenant. In PostgreSQL,
//! transactions that lock several rows do so in this order: the head of the tenant's log, the place in the queue, the
//! report.

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use mass_domain::access::Actor;
use mass_domain::audit::Act;
use mass_domain::delivery::WorkerName;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::port::PortError;
use mass_domain::savings::ReportState;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_savings_service::{ClaimedReport, ReportClaim, ReportOutcome, ReportQueue};

use super::audit::Head;
use super::{Connection, Store, quotas};
use crate::columns::{Id, Instant, Word};
use crate::rows::{ClaimedReportRow, ReportOriginRow};
use crate::schema::{savings_queue, savings_reports};

/// Builds the query for the place in the queue of a claim that still holds.
macro_rules! place_of {
    ($claim:expr) => {
        savings_queue::table
            .find(($claim.tenant_id.as_str(), Id($claim.report_id.as_uuid())))
            .filter(savings_queue::fence.eq($claim.fence))
    };
}

/// Builds the query for the report of a claim.
macro_rules! report_of {
    ($claim:expr) => {
        savings_reports::table.find(($claim.tenant_id.as_str(), Id($claim.report_id.as_uuid())))
    };
}

#[async_trait]
impl ReportQueue for Store {
    async fn claim(
        &self,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedReport>, PortError> {
        // A read first, so that a worker that finds nothing does not block a writer.
        let Some(claim) = self.reads.read_outside(move |connection| first_due(connection, now)).await? else {
            return Ok(None);
        };
        let (worker, taken) = (worker.clone(), claim.clone());
        let take = move |connection: &mut Connection| take(connection, &taken, &worker, now, until);
        // Another worker may have been faster.
        if !self.writes.run_outside(take).await? {
            return Ok(None);
        }
        let tenant = claim.tenant_id.clone();
        self.writes.run_for(&tenant, move |connection, _| begin(connection, claim)).await
    }

    async fn extend(&self, claim: &ReportClaim, until: Timestamp) -> Result<bool, PortError> {
        let claim = claim.clone();
        self.writes.run_outside(move |connection| extend(connection, &claim, until)).await
    }

    async fn postpone(&self, claim: &ReportClaim, due_at: Timestamp) -> Result<bool, PortError> {
        let (tenant, claim) = (claim.tenant_id.clone(), claim.clone());
        self.writes.run_for(&tenant, move |connection, _| postpone(connection, &claim, due_at)).await
    }

    async fn finish(&self, claim: &ReportClaim, outcome: ReportOutcome, at: Timestamp) -> Result<bool, PortError> {
        let (tenant, claim) = (claim.tenant_id.clone(), claim.clone());
        self.writes.run_for(&tenant, move |connection, tenant| finish(connection, tenant, &claim, &outcome, at)).await
    }
}

/// Returns the claim that the next worker would have of the report that is due first.
fn first_due(connection: &mut Connection, now: Timestamp) -> QueryResult<Option<ReportClaim>> {
    let row: Option<(Word<TenantId>, Id, i64)> = savings_queue::table
        .filter(savings_queue::due_at.le(Instant(now)))
        .order((savings_queue::due_at, savings_queue::tenant_id, savings_queue::report_id))
        .select((savings_queue::tenant_id, savings_queue::report_id, savings_queue::fence))
        .first(connection)
        .optional()?;
    Ok(row.map(|(tenant, id, fence)| ReportClaim {
        tenant_id: tenant.0,
        report_id: SavingsReportId::from_uuid(id.0),
        fence: fence + 1,
    }))
}

/// Takes a report. Returns false if another worker has taken it since.
fn take(
    connection: &mut Connection,
    claim: &ReportClaim,
    worker: &WorkerName,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<bool> {
    let place = savings_queue::table.find((claim.tenant_id.as_str(), Id(claim.report_id.as_uuid())));
    let taken = diesel::update(place)
        .filter(savings_queue::fence.eq(claim.fence - 1))
        .filter(savings_queue::due_at.le(Instant(now)))
        .set((
            savings_queue::due_at.eq(Instant(until)),
            savings_queue::worker.eq(worker.as_str()),
            savings_queue::fence.eq(claim.fence),
        ))
        .execute(connection)?;
    Ok(taken == 1)
}

/// Begins an attempt.
fn begin(connection: &mut Connection, claim: ReportClaim) -> QueryResult<Option<ClaimedReport>> {
    super::write(connection, |connection| {
        if !diesel::select(exists(place_of!(claim))).get_result::<bool>(connection)? {
            return Ok(None);
        }
        let row: ClaimedReportRow = report_of!(claim).select(ClaimedReportRow::as_select()).first(connection)?;
        let attempts = row.attempts + 1;
        diesel::update(report_of!(claim))
            .set((savings_reports::state.eq(Word(ReportState::Computing)), savings_reports::attempts.eq(attempts)))
            .execute(connection)?;
        Ok(Some(ClaimedReport {
            claim,
            project: row.project.0,
            sequence: row.sequence,
            requested_at: row.requested_at.0,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        }))
    })
}

fn extend(connection: &mut Connection, claim: &ReportClaim, until: Timestamp) -> QueryResult<bool> {
    let due_at = savings_queue::due_at.eq(Instant(until));
    Ok(diesel::update(place_of!(claim)).set(due_at).execute(connection)? == 1)
}

fn postpone(connection: &mut Connection, claim: &ReportClaim, due_at: Timestamp) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let released = diesel::update(place_of!(claim))
            .set((savings_queue::due_at.eq(Instant(due_at)), savings_queue::worker.eq(None::<&str>)))
            .execute(connection)?;
        if released == 0 {
            return Ok(false);
        }
        diesel::update(report_of!(claim))
            .set((
                savings_reports::state.eq(Word(ReportState::Queued)),
                savings_reports::attempts.eq(savings_reports::attempts - 1),
            ))
            .execute(connection)?;
        Ok(true)
    })
}

fn finish(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &ReportClaim,
    outcome: &ReportOutcome,
    at: Timestamp,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if diesel::delete(place_of!(claim)).execute(connection)? == 0 {
            return Ok(false);
        }
        let row: ReportOriginRow = report_of!(claim).select(ReportOriginRow::as_select()).first(connection)?;
        store(connection, claim, outcome, at)?;
        if let ReportOutcome::Done { signed, .. } = outcome {
            quotas::take(connection, tenant, signed.document.len())?;
        }
        let act = Act { actor: Actor::System, at, origin: row.origin()? };
        let project = SavingsProjectId::from_uuid(row.project_id.0);
        head.append(connection, [outcome.event(claim, project, &act)])?;
        Ok(true)
    })
}

fn store(connection: &mut Connection, claim: &ReportClaim, outcome: &ReportOutcome, at: Timestamp) -> QueryResult<()> {
    let finished_at = savings_reports::finished_at.eq(Some(Instant(at)));
    match outcome {
        ReportOutcome::Done { signed, as_of } => {
            let bytes = i64::try_from(signed.document.len()).unwrap_or(i64::MAX);
            let changes = (
                savings_reports::state.eq(Word(ReportState::Done)),
                savings_reports::as_of_sequence.eq(Some(as_of.sequence)),
                savings_reports::as_of_root.eq(Some(as_of.root.as_str())),
                savings_reports::document.eq(Some(signed.document.as_str())),
                savings_reports::note.eq(Some(signed.note.as_str())),
                savings_reports::bytes.eq(savings_reports::bytes + bytes),
                finished_at,
            );
            diesel::update(report_of!(claim)).set(changes).execute(connection)?;
        }
        ReportOutcome::Failed(failure) => {
            let changes = (
                savings_reports::state.eq(Word(ReportState::Failed)),
                savings_reports::failure_code.eq(failure.code.map(Word)),
                savings_reports::failure.eq(Some(failure.detail.as_str())),
                finished_at,
            );
            diesel::update(report_of!(claim)).set(changes).execute(connection)?;
        }
    }
    Ok(())
}

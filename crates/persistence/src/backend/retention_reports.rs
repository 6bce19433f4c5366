//! The savings reports whose documents retention rules let go.

use std::collections::BTreeMap;
use std::iter;

use diesel::prelude::*;
use mass_domain::analytics::Micros;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::retention::Expiry;
use mass_domain::savings::{Project, ReportState};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_savings_service::hours_query;
use mass_service::{MOST_REPORTS, ReportAtRisk};

use super::{Backend, Connection};
use crate::columns::{Id, Instant, Json, Word};
use crate::id_bounds::{instant_of, lowest_id_after, lowest_id_from};
use crate::schema::{mass_requests, savings_reports};

/// The time around a project's periods whose documents its hours may follow from, too.
const AROUND: Micros = 86_400_000_000;

/// Returns the newest reports that rest on documents which rules let go, now or later, with the time at which the first of
/// these documents is beyond its age: the first report to lose one comes first.
pub(super) fn at_risk(
    connection: &mut Connection,
    tenant: &TenantId,
    expiries: &[Expiry],
) -> QueryResult<Vec<ReportAtRisk>> {
    if expiries.is_empty() {
        return Ok(Vec::new());
    }
    let done: Vec<(Id, Id, Option<i64>)> = savings_reports::table
        .filter(savings_reports::tenant_id.eq(tenant.as_str()))
        .filter(savings_reports::state.eq(Word(ReportState::Done)))
        .order(savings_reports::id.desc())
        .limit(MOST_REPORTS.into())
        .select((savings_reports::id, savings_reports::project_id, savings_reports::as_of_sequence))
        .load(connection)?;
    let mut by_project: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, project, as_of) in done {
        by_project.entry(project.0).or_default().push((id, as_of.unwrap_or_default()));
    }
    let mut found = Vec::new();
    for (project_id, reports) in by_project {
        let Some((newest, _)) = reports.first() else { continue };
        let project: Json<Project> = savings_reports::table
            .find((tenant.as_str(), newest))
            .select(savings_reports::project)
            .first(connection)?;
        let as_of = reports.iter().map(|(_, as_of)| *as_of).max().unwrap_or_default();
        let accepted = Accepted { as_of, before: instant_of(newest.0) };
        let Some(erases_from) = first_loss(connection, tenant, expiries, &project.0, &accepted)? else { continue };
        found.extend(reports.into_iter().map(|(id, _)| ReportAtRisk {
            id: SavingsReportId::from_uuid(id.0),
            project_id: SavingsProjectId::from_uuid(project_id),
            project: project.0.terms.name.clone(),
            erases_from,
        }));
    }
    found.sort_by_key(|report| (report.erases_from, report.id.as_uuid()));
    Ok(found)
}

/// The last event that the newest report of a project follows from, and the time of its request.
struct Accepted {
    as_of: i64,
    before: Option<Timestamp>,
}

/// Returns the time at which the first document that a project's hours follow from is beyond its age.
fn first_loss(
    connection: &mut Connection,
    tenant: &TenantId,
    expiries: &[Expiry],
    project: &Project,
    accepted: &Accepted,
) -> QueryResult<Option<Timestamp>> {
    let Ok(query) = hours_query(project) else { return Ok(None) };
    let ends = query.within.first().zip(query.within.last());
    let ends = ends.map(|(first, last)| (first.start.saturating_sub(AROUND), last.end.saturating_add(AROUND)));
    let ends =
        ends.and_then(|(from, until)| Some((Timestamp::from_unix_micros(from)?, Timestamp::from_unix_micros(until)?)));
    let Some(((from, until), before)) = ends.zip(accepted.before) else { return Ok(None) };
    let price = query.price.and_then(|price| price.device_id);
    let mut losses = Vec::new();
    for expiry in expiries {
        let documents = || -> mass_requests::BoxedQuery<'_, Backend> {
            mass_requests::table
                .filter(mass_requests::tenant_id.eq(tenant.as_str()))
                .filter(mass_requests::contract.eq(Word(expiry.contract)))
                .filter(mass_requests::deleted_at.is_null())
                .filter(mass_requests::audit_sequence.le(accepted.as_of))
                // Received when it can have been measured, and before the report was asked for: little else is read past.
                .filter(mass_requests::id.ge(Id(lowest_id_from(from))))
                .filter(mass_requests::id.lt(Id(lowest_id_after(before))))
                .filter(mass_requests::observed_at.ge(Instant(from)))
                .filter(mass_requests::observed_at.lt(Instant(until)))
                .order(mass_requests::id)
                .into_boxed()
        };
        let of_site = documents().filter(mass_requests::site_id.eq(&query.site_id));
        // One by one, each in the order of an index.
        let devices = [Some(&query.weather_device), price.as_ref()].into_iter().flatten();
        let of_devices = devices.map(|device| documents().filter(mass_requests::device_id.eq(device)));
        for documents in iter::once(of_site).chain(of_devices) {
            let first: Option<Id> = documents.select(mass_requests::id).first(connection).optional()?;
            let received = first.and_then(|id| instant_of(id.0));
            losses.extend(received.and_then(|at| at.plus_seconds(i64::from(expiry.days) * 86_400)));
        }
    }
    Ok(losses.into_iter().min())
}

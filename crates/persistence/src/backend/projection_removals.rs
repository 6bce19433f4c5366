//! The projected rows of the requests that events remove.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use mass_analytics_service::{Change, Latest, LogBatch, ProjectedRequest};
use mass_domain::analytics::{Micros, SeriesId, SeriesKey, Source, SourceId};
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::projection_documents::of_requests;
use super::{Connection, projecting, projection_blocks as blocks};
use crate::columns::Id;
use crate::schema::{audit_archived_changes, points, sources};
use crate::store::KEYS_PER_STATEMENT;

/// Requests that become current again or are removed.
pub(super) struct Known {
    accepted: HashMap<Uuid, i64>,
    /// Those that are projected, by the sequence of their acceptance.
    pub(super) requests: HashMap<i64, ProjectedRequest>,
}

impl Known {
    /// Returns the sequence of a request's acceptance, or the reason for which there is none.
    pub(super) fn accepted(&self, request: Uuid) -> Result<i64, String> {
        self.accepted.get(&request).copied().ok_or_else(|| "the request of the event is missing".to_owned())
    }
}

/// Reads what is stored of requests.
pub(super) fn stored(connection: &mut Connection, tenant: &TenantId, ids: Vec<Uuid>) -> QueryResult<Known> {
    let mut known = Known { accepted: HashMap::new(), requests: HashMap::new() };
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let ids: Vec<Id> = ids.iter().copied().map(Id).collect();
        let places = projecting::acceptances(connection, tenant, &ids)?;
        let accepted: Vec<i64> = places.iter().map(|(_, accepted)| *accepted).collect();
        known.accepted.extend(places.into_iter().map(|(id, accepted)| (id.0, accepted)));
        known.requests.extend(blocks::stored(connection, tenant, &accepted)?);
    }
    Ok(known)
}

/// Adds to a batch what is stored of the sources of removed requests.
pub(super) fn describe(connection: &mut Connection, tenant: &TenantId, batch: &mut LogBatch) -> QueryResult<()> {
    let mut removed: HashMap<SourceId, HashSet<i64>> = HashMap::new();
    for step in &batch.steps {
        if let Change::Removed { accepted, stored: Some(ProjectedRequest { place: Some(place), .. }) } = &step.change {
            removed.entry(place.source).or_default().insert(*accepted);
        }
    }
    let ids: Vec<i64> = removed.keys().map(|source| source.as_i64()).collect();
    let mut described: HashMap<SourceId, i64> = HashMap::new();
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let rows: Vec<(i64, i64)> = sources::table
            .filter(sources::tenant_id.eq(tenant.as_str()))
            .filter(sources::id.eq_any(ids))
            .select((sources::id, sources::accepted))
            .load(connection)?;
        described.extend(rows.into_iter().map(|(id, accepted)| (SourceId::from_i64(id), accepted)));
        for (source, site_id, device_id, metric) in projecting::series_of_sources(connection, tenant, ids)? {
            let key = SeriesKey { source: Source { site_id, device_id }, metric };
            batch.series.entry(SourceId::from_i64(source)).or_default().push(key);
        }
    }
    for (source, removed) in &removed {
        let series = batch.series.entry(*source).or_default();
        if described.get(source).is_some_and(|accepted| removed.contains(accepted)) {
            let latest = latest(connection, tenant, *source, series, removed)?;
            batch.latest.insert(*source, latest);
        }
    }
    batch.series.values_mut().for_each(|keys| keys.sort());
    Ok(())
}

/// Reads the newest projected request of a source that is not among the removed ones, and whose document is there. Its
/// points tell of it.
fn latest(
    connection: &mut Connection,
    tenant: &TenantId,
    source: SourceId,
    series: &[SeriesKey],
    removed: &HashSet<i64>,
) -> QueryResult<Option<Latest>> {
    let marked: Vec<SeriesId> = series.iter().map(SeriesKey::id).chain([source.without_values()]).collect();
    let mut before = (Micros::MAX, i64::MAX);
    loop {
        let mut newest = None;
        for series in &marked {
            newest = newest.max(newest_of(connection, tenant, *series, before, removed)?);
        }
        let Some((at, accepted)) = newest else { return Ok(None) };
        let ids = accepted_at(connection, tenant, accepted)?.into_iter().collect();
        if let Some(document) = of_requests(connection, tenant, ids)?.remove(&accepted) {
            return Ok(Some(Latest { at, document }));
        }
        before = (at, accepted);
    }
}

/// Reads time and acceptance of the last point of a series before a place that is not of a removed request.
fn newest_of(
    connection: &mut Connection,
    tenant: &TenantId,
    series: SeriesId,
    (at, accepted): (Micros, i64),
    removed: &HashSet<i64>,
) -> QueryResult<Option<(Micros, i64)>> {
    let rows: Vec<(Micros, i64)> = points::table
        .filter(points::tenant_id.eq(tenant.as_str()))
        .filter(points::series_id.eq(series.as_i64()))
        .filter(points::at.le(at))
        .filter(points::at.lt(at).or(points::sequence.lt(accepted)))
        .order((points::at.desc(), points::sequence.desc()))
        .select((points::at, points::sequence))
        .limit(i64::try_from(removed.len() + 1).unwrap_or(i64::MAX))
        .load(connection)?;
    Ok(rows.into_iter().find(|(_, accepted)| !removed.contains(accepted)))
}

/// Finds the request of which the event at a position tells.
fn accepted_at(connection: &mut Connection, tenant: &TenantId, sequence: i64) -> QueryResult<Option<Uuid>> {
    let kept = super::events_at(connection, tenant, &[sequence])?.pop().map(|event| event.object_id);
    let id = match kept {
        Some(id) => id,
        None => audit_archived_changes::table
            .find((tenant.as_str(), sequence))
            .select(audit_archived_changes::object_id)
            .first::<Option<String>>(connection)
            .optional()?
            .flatten(),
    };
    Ok(id.and_then(|id| Uuid::parse_str(&id).ok()))
}

//! Plans the changes that a part of the log makes: to points of series, requests, sources and days of intake. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use mass_domain::analytics::{
    DAY, HOUR, Micros, Point, Reading, SeriesId, SeriesKey, Source, SourceId, floor, has_readings, reading,
};
use mass_domain::json;

use crate::store::{
    Change, Intake, Latest, LogBatch, Place, ProjectedRequest, SourceRow, StoredDocument, Unreadable, Window,
};

/// The time between two changed points of a series from which on they are in separate windows.
const APART: Micros = 6 * HOUR;

/// Reason for which a batch is not projected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanError {
    /// A document of the batch cannot be read.
    Unreadable(Unreadable),
    /// Two series or sources have the same id.
    Collision(i64),
}

/// The changes of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeriesChange {
    /// Its names.
    pub(crate) key: SeriesKey,
    /// The points that are added.
    pub(crate) added: Vec<Point>,
    /// The points that are removed, if they are there, by time and acceptance.
    pub(crate) removed: Vec<(Micros, i64)>,
}

/// The changes that a batch makes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) series: BTreeMap<SeriesId, SeriesChange>,
    pub(crate) sources: Vec<SourceRow>,
    pub(crate) gone_sources: Vec<SourceId>,
    pub(crate) requests: Vec<ProjectedRequest>,
    pub(crate) gone_requests: Vec<i64>,
    pub(crate) intake: Vec<Intake>,
    /// Marks of added readings without values, as points of no series.
    pub(crate) marks: Vec<(SeriesId, Point)>,
    /// The places at which such marks of removed requests would be.
    pub(crate) gone_marks: Vec<(SeriesId, Micros, i64)>,
    /// The ids of the series: to compute one takes longer than to find it.
    ids: HashMap<SeriesKey, SeriesId>,
}

impl SeriesChange {
    /// Returns the windows of the changed times: those that are further apart than six hours in separate ones.
    pub(crate) fn windows(&self, series: SeriesId) -> Vec<Window> {
        let mut times: Vec<Micros> = self.added.iter().map(|point| point.at).collect();
        times.extend(self.removed.iter().map(|(at, _)| *at));
        times.sort_unstable();
        let mut windows: Vec<Window> = Vec::new();
        for at in times {
            match windows.last_mut() {
                Some(window) if at - window.last <= APART => window.last = at,
                _ => windows.push(Window { series, first: at, last: at }),
            }
        }
        windows
    }
}

/// Plans the changes of a batch.
pub(crate) fn plan(batch: LogBatch) -> Result<Plan, PlanError> {
    let LogBatch { steps, latest, series, .. } = batch;
    let (mut added, mut removed) = (BTreeMap::new(), BTreeMap::new());
    let mut sources = HashMap::new();
    for step in steps {
        match step.change {
            // It has been erased since: its deletion follows.
            Change::Added(None) => {}
            Change::Added(Some(document)) => add(step.sequence, document, &mut sources, &mut added, &mut removed)?,
            Change::Removed { accepted, stored } => {
                let is_new = added.remove(&accepted).is_some_and(|new| !new.is_stored);
                if let Some(request) = stored.filter(|_| !is_new) {
                    removed.insert(accepted, request);
                }
            }
        }
    }
    let mut plan = Plan::default();
    plan.count(&added, &removed);
    plan.describe(&added, latest)?;
    for request in removed.into_values() {
        plan.remove(&request, &series)?;
    }
    for (accepted, new) in added {
        plan.insert(accepted, new)?;
    }
    Ok(plan)
}

/// A request that becomes current.
struct Added {
    request: ProjectedRequest,
    /// Its reading; `None` if its contract has no values.
    reading: Option<Reading>,
    /// Whether the request is stored already: it was removed and reinstated within the batch.
    is_stored: bool,
}

fn add(
    sequence: i64,
    document: StoredDocument,
    sources: &mut HashMap<Source, SourceId>,
    added: &mut BTreeMap<i64, Added>,
    removed: &mut BTreeMap<i64, ProjectedRequest>,
) -> Result<(), PlanError> {
    let reading = read(&document).map_err(|reason| PlanError::Unreadable(Unreadable { sequence, reason }))?;
    let mut place = |Reading { source, at, .. }: &Reading| {
        let known = sources.get(source).copied();
        let id = known.unwrap_or_else(|| *sources.entry(source.clone()).or_insert_with(|| source.id()));
        Place { source: id, at: *at }
    };
    let place = reading.as_ref().map(&mut place);
    let StoredDocument { accepted, accepted_at, text, .. } = document;
    let request = ProjectedRequest { accepted, day: floor(accepted_at, DAY), bytes: text.len() as u64, place };
    let is_stored = removed.remove(&accepted).is_some();
    added.insert(accepted, Added { request, reading, is_stored });
    Ok(())
}

/// Reads a document, or returns the reason for which that is not possible.
fn read(document: &StoredDocument) -> Result<Option<Reading>, String> {
    if !has_readings(document.contract) {
        return Ok(None);
    }
    let value = json::parse(document.text.as_bytes()).map_err(|error| error.to_string())?;
    reading(document.contract, &value).map_err(|error| error.to_string())
}

impl Plan {
    /// Counts what the batch adds to the days of intake.
    fn count(&mut self, added: &BTreeMap<i64, Added>, removed: &BTreeMap<i64, ProjectedRequest>) {
        let mut days: BTreeMap<Micros, Intake> = BTreeMap::new();
        let mut count = |request: &ProjectedRequest, sign: i64| {
            let day = request.day;
            let intake = days.entry(day).or_insert(Intake { day, requests: 0, bytes: 0 });
            intake.requests += sign;
            intake.bytes += sign * i64::try_from(request.bytes).unwrap_or(i64::MAX);
        };
        added.values().filter(|new| !new.is_stored).for_each(|new| count(&new.request, 1));
        removed.values().for_each(|request| count(request, -1));
        self.intake = days.into_values().filter(|intake| (intake.requests, intake.bytes) != (0, 0)).collect();
    }

    /// Finds the newest request of each source, among those of the batch and the stored ones that take the place of a
    /// removed one.
    fn describe(
        &mut self,
        added: &BTreeMap<i64, Added>,
        latest: HashMap<SourceId, Option<Latest>>,
    ) -> Result<(), PlanError> {
        let mut rows: BTreeMap<SourceId, SourceRow> = BTreeMap::new();
        let mut consider = |id: SourceId, reading: &Reading, accepted: i64| match rows.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(row(reading, accepted));
                Ok(())
            }
            Entry::Occupied(entry) if entry.get().source != reading.source => {
                Err(PlanError::Collision(entry.key().as_i64()))
            }
            Entry::Occupied(mut entry) => {
                if (reading.at, accepted) >= (entry.get().at, entry.get().accepted) {
                    entry.insert(row(reading, accepted));
                }
                Ok(())
            }
        };
        for (accepted, new) in added {
            if let (Some(reading), Some(place)) = (&new.reading, new.request.place) {
                consider(place.source, reading, *accepted)?;
            }
        }
        for (source, latest) in latest {
            self.gone_sources.push(source);
            if let Some(latest) = latest {
                let accepted = latest.document.accepted;
                let unreadable = |reason| PlanError::Unreadable(Unreadable { sequence: accepted, reason });
                let reading = read(&latest.document).map_err(unreadable)?;
                reading.iter().try_for_each(|reading| consider(source, reading, accepted))?;
            }
        }
        self.gone_sources.sort_unstable();
        self.sources = rows.into_values().collect();
        Ok(())
    }

    fn remove(
        &mut self,
        request: &ProjectedRequest,
        series: &HashMap<SourceId, Vec<SeriesKey>>,
    ) -> Result<(), PlanError> {
        self.gone_requests.push(request.accepted);
        let Some(place) = request.place else { return Ok(()) };
        self.gone_marks.push((place.source.without_values(), place.at, request.accepted));
        for key in series.get(&place.source).into_iter().flatten() {
            self.change(key)?.removed.push((place.at, request.accepted));
        }
        Ok(())
    }

    fn insert(&mut self, sequence: i64, new: Added) -> Result<(), PlanError> {
        if new.is_stored {
            return Ok(());
        }
        self.requests.push(new.request);
        let Some(Reading { source, at, span, values, .. }) = new.reading else { return Ok(()) };
        if let Some(place) = new.request.place.filter(|_| values.is_empty()) {
            self.marks.push((place.source.without_values(), Point { at, sequence, value: 0.0, span }));
        }
        let mut key = SeriesKey { source, metric: String::new() };
        for (metric, value) in values {
            key.metric = metric;
            self.change(&key)?.added.push(Point { at, sequence, value, span });
        }
        Ok(())
    }

    fn change(&mut self, key: &SeriesKey) -> Result<&mut SeriesChange, PlanError> {
        let known = self.ids.get(key).copied();
        let id = known.unwrap_or_else(|| key.id());
        if known.is_none() {
            self.ids.insert(key.clone(), id);
        }
        let new = || SeriesChange { key: key.clone(), added: Vec::new(), removed: Vec::new() };
        let change = self.series.entry(id).or_insert_with(new);
        if known.is_some() || change.key == *key { Ok(change) } else { Err(PlanError::Collision(id.as_i64())) }
    }
}

fn row(reading: &Reading, accepted: i64) -> SourceRow {
    SourceRow {
        source: reading.source.clone(),
        device_type: reading.device_type.clone(),
        location: reading.location.clone(),
        at: reading.at,
        accepted,
    }
}

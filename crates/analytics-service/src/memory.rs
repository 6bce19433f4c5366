//! A projection in memory, whose every answer follows from the documented promises of the ports by the simplest means. The
//! stores are tested against their databases; this one lets whole use cases run beside the pure functions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mass_domain::analytics::{
    CONTEXT, DAY, Figures, HOUR, Micros, Point, SeriesId, SeriesKey, Source, SourceId, floor, fold, interval_at,
    kind_of, valid,
};
use mass_domain::audit::tree::TreeHash;
use mass_domain::contracts::{self, ContractId};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::oneshot;

use crate::AnalyticsService;
use crate::projector::Projector;
use crate::store::{
    AnalyticsStore, ApplyError, Change, Intake, Job, Latest, LogBatch, Position, ProjectedRequest, ProjectionStore,
    SeriesFilter, SeriesRow, Snapshot, SourceFilter, SourceRow, Step, StoredDocument, Unreadable, Update, Window,
    WindowState,
};

/// The rows of a projection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) position: i64,
    pub(crate) stopped: Option<Unreadable>,
    pub(crate) sources: BTreeMap<SourceId, SourceRow>,
    pub(crate) requests: BTreeMap<i64, ProjectedRequest>,
    pub(crate) intake: BTreeMap<Micros, (i64, i64)>,
    pub(crate) series: BTreeMap<SeriesId, SeriesRow>,
    pub(crate) points: BTreeMap<(SeriesId, Micros, i64), Point>,
    pub(crate) hours: BTreeMap<(SeriesId, Micros), Figures>,
    pub(crate) days: BTreeMap<(SeriesId, Micros), Figures>,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// The request of this acceptance becomes current.
    Added(i64),
    /// The request of this acceptance is not current any more.
    Removed(i64),
    Other,
    /// An event that cannot be read.
    Unknown,
}

/// A log, its documents and the projection.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) rows: Rows,
    pub(crate) log: Vec<Event>,
    pub(crate) documents: BTreeMap<i64, StoredDocument>,
}

/// A store of one tenant.
#[derive(Clone, Default)]
pub(crate) struct Memory(pub(crate) Arc<Mutex<State>>);

/// A clock that stands still.
pub(crate) struct Still(pub(crate) Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("pilot").unwrap()
}

pub(crate) fn at(text: &str) -> Micros {
    text.parse::<Timestamp>().unwrap().unix_micros()
}

pub(crate) fn time(at: Micros) -> Timestamp {
    Timestamp::from_unix_micros(at).unwrap()
}

pub(crate) fn device() -> ContractId {
    contracts::DEVICE_1_1
}

impl Memory {
    /// Appends the acceptance of a document, and returns its sequence.
    pub(crate) fn accept(&self, contract: ContractId, text: String) -> i64 {
        let mut state = self.0.lock().unwrap();
        let accepted = i64::try_from(state.log.len()).unwrap() + 1;
        state.log.push(Event::Added(accepted));
        let accepted_at = at("2026-06-01T00:00:00Z") + accepted * HOUR;
        state.documents.insert(accepted, StoredDocument { accepted, accepted_at, contract, text });
        accepted
    }

    /// Accepts a reading of a device.
    pub(crate) fn read_device(&self, site: Option<&str>, id: &str, when: Micros, metrics: &[(&str, f64)]) -> i64 {
        let site = site.map_or_else(String::new, |site| format!(r#""site_id":"{site}","#));
        let metrics: Vec<String> = metrics.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        let kind = id.split('-').next().unwrap();
        let text = format!(
            r#"{{"device":{{{site}"id":"{id}","type":"{kind}"}},"metrics":{{{}}},"timestamp":"{}"}}"#,
            metrics.join(","),
            time(when)
        );
        self.accept(device(), text)
    }

    /// Accepts the signals of a site for a window.
    pub(crate) fn read_site(&self, site: &str, window: Range<Micros>, energy: &str) -> i64 {
        let text = format!(
            r#"{{"request":{{"assets":{{"site_id":"{site}"}},"signals":{{"energy":{{{energy}}}}},"time_window":{{"end_utc":"{}","start_utc":"{}"}}}}}}"#,
            time(window.end),
            time(window.start)
        );
        self.accept(contracts::ENTERPRISE_1_1, text)
    }

    pub(crate) fn append(&self, event: Event) {
        self.0.lock().unwrap().log.push(event);
    }

    pub(crate) fn erase(&self, accepted: i64) {
        self.0.lock().unwrap().documents.remove(&accepted);
    }

    pub(crate) fn rows(&self) -> Rows {
        self.0.lock().unwrap().rows.clone()
    }

    pub(crate) fn projector(&self) -> Projector {
        Projector::new(Arc::new(self.clone()))
    }

    /// Projects the whole log, and puts the use cases on top.
    pub(crate) async fn service(&self, now: &str) -> AnalyticsService {
        let progress = self.projector().catch_up(&tenant()).await.unwrap();
        assert_eq!((progress.position, progress.stopped), (progress.head, None));
        AnalyticsService::new(Arc::new(self.clone()), Arc::new(Still(now.parse().unwrap())))
    }
}

#[async_trait]
impl ProjectionStore for Memory {
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        Ok(vec![tenant()])
    }

    async fn next(&self, _: &TenantId, after: Option<i64>, limit: u32, bytes: u64) -> Result<LogBatch, PortError> {
        let state = self.0.lock().unwrap().clone();
        let State { rows, log, documents } = state;
        let (from, head) = (after.unwrap_or(rows.position), i64::try_from(log.len()).unwrap());
        let earlier = &log[..usize::try_from(from).unwrap()];
        let mut is_independent = true;
        let (mut upto, mut steps, mut stopped, mut read) = (from, Vec::new(), None, 0);
        for sequence in from + 1..=head.min(from + i64::from(limit)) {
            match &log[usize::try_from(sequence - 1).unwrap()] {
                Event::Added(accepted) => {
                    let document = documents.get(accepted).cloned();
                    read += document.as_ref().map_or(0, |document| document.text.len() as u64);
                    if read > bytes && upto > from {
                        break;
                    }
                    is_independent &= !earlier.contains(&log[usize::try_from(sequence - 1).unwrap()]);
                    steps.push(Step { sequence, change: Change::Added(document) });
                }
                Event::Removed(accepted) => {
                    is_independent = false;
                    let stored = rows.requests.get(accepted).copied();
                    steps.push(Step { sequence, change: Change::Removed { accepted: *accepted, stored } });
                }
                Event::Other => {}
                Event::Unknown => {
                    stopped = Some(Unreadable { sequence, reason: "unknown".to_owned() });
                    break;
                }
            }
            upto = sequence;
        }
        let removed: BTreeMap<i64, ProjectedRequest> = steps
            .iter()
            .filter_map(|step| match &step.change {
                Change::Removed { accepted, stored } => Some((*accepted, (*stored)?)),
                Change::Added(_) => None,
            })
            .collect();
        let (mut latest, mut series) = (HashMap::new(), HashMap::new());
        for place in removed.values().filter_map(|request| request.place) {
            let keys = rows.series.values().map(|row| row.key.clone()).filter(|key| key.source.id() == place.source);
            series.insert(place.source, keys.collect());
            if rows.sources.get(&place.source).is_some_and(|row| removed.contains_key(&row.accepted)) {
                let is_left = |request: &&ProjectedRequest| {
                    !removed.contains_key(&request.accepted) && documents.contains_key(&request.accepted)
                };
                let left = rows.requests.values().filter(is_left);
                let left = left.filter_map(|request| Some((request.place?, request.accepted)));
                let newest = left.filter(|(other, _)| other.source == place.source).max_by_key(|(p, a)| (p.at, *a));
                let newest =
                    newest.map(|(place, accepted)| Latest { at: place.at, document: documents[&accepted].clone() });
                latest.insert(place.source, newest);
            }
        }
        Ok(LogBatch { deletions: 0, from, upto, head, steps, stopped, is_independent, latest, series })
    }

    async fn windows(&self, _: &TenantId, windows: Vec<Window>) -> Result<Vec<WindowState>, PortError> {
        let rows = self.rows();
        let mut merged: Vec<(Window, Micros, Option<Micros>)> = Vec::new();
        for window in windows {
            let (from, stop) = extent(&rows, &window);
            match merged.last_mut() {
                Some((last, _, end)) if last.series == window.series && end.is_none_or(|end| from < end) => {
                    last.last = window.last;
                    *end = stop;
                }
                _ => merged.push((window, from, stop)),
            }
        }
        Ok(merged.into_iter().map(|(window, from, stop)| rows.state(window, from, stop)).collect())
    }

    async fn apply(&self, _: &TenantId, update: Update) -> Result<(), ApplyError> {
        let mut state = self.0.lock().unwrap();
        if state.rows.position != update.from {
            return Err(ApplyError::Stale);
        }
        state.rows.apply(update);
        Ok(())
    }

    async fn clear(&self, _: &TenantId) -> Result<(), PortError> {
        self.0.lock().unwrap().rows = Rows::default();
        Ok(())
    }
}

/// Returns `from` and `stop` of a window.
fn extent(rows: &Rows, window: &Window) -> (Micros, Option<Micros>) {
    let times = rows.times(window.series);
    let before = times.range(..window.first).next_back().copied().unwrap_or(window.first);
    let behind = times.range((Bound::Excluded(window.last), Bound::Unbounded)).nth(CONTEXT - 1);
    (floor(before, HOUR), behind.map(|at| floor(*at, HOUR) + HOUR))
}

impl Rows {
    fn times(&self, series: SeriesId) -> BTreeSet<Micros> {
        self.points.keys().filter(|(id, ..)| *id == series).map(|(_, at, _)| *at).collect()
    }

    fn state(&self, window: Window, from: Micros, stop: Option<Micros>) -> WindowState {
        let times = self.times(window.series);
        let first = times.range(..from).rev().take(CONTEXT).last().copied().unwrap_or(from);
        let end = stop.and_then(|stop| times.range(stop..).next()).map_or(Micros::MAX, |at| at + 1);
        let end = if stop.is_some() { end } else { Micros::MAX };
        let points = self.points.values_of(window.series, first..end);
        let last = times.last().copied().unwrap_or(window.last).max(window.last);
        let is_before = floor(from, DAY) < floor(last, DAY);
        let within = if is_before {
            floor(from, DAY)..stop.map_or(Micros::MAX, |stop| floor(stop, DAY) + DAY)
        } else {
            from..stop.unwrap_or(Micros::MAX)
        };
        let hours = self.hours.range((window.series, within.start)..(window.series, within.end));
        let hours = hours.map(|((_, begin), figures)| (*begin, *figures)).collect();
        WindowState { window, series: self.series.get(&window.series).cloned(), from, stop, points, hours }
    }

    fn apply(&mut self, update: Update) {
        self.position = update.upto;
        self.stopped = update.stopped;
        update.gone_sources.iter().for_each(|id| drop(self.sources.remove(id)));
        for row in update.sources {
            let stored = self.sources.entry(row.source.id()).or_insert_with(|| row.clone());
            if (row.at, row.accepted) >= (stored.at, stored.accepted) {
                *stored = row;
            }
        }
        for accepted in &update.gone_requests {
            self.requests.remove(accepted).unwrap();
        }
        for request in update.requests {
            assert_eq!(self.requests.insert(request.accepted, request), None);
        }
        for Intake { day, requests, bytes } in update.intake {
            let stored = self.intake.entry(day).or_default();
            *stored = (stored.0 + requests, stored.1 + bytes);
            if stored.0 == 0 {
                assert_eq!(self.intake.remove(&day), Some((0, 0)));
            }
        }
        update.gone_series.iter().for_each(|id| drop(self.series.remove(id).unwrap()));
        self.series.extend(update.series.into_iter().map(|row| (row.id, row)));
        for (id, at, sequence) in update.gone_points {
            self.points.remove(&(id, at, sequence));
        }
        for (id, point) in update.points {
            assert_eq!(self.points.insert((id, point.at, point.sequence), point), None);
        }
        for (id, begin) in update.gone_hours {
            self.hours.remove(&(id, begin)).unwrap();
        }
        self.hours.extend(update.hours.into_iter().map(|(id, begin, figures)| ((id, begin), figures)));
        for (id, stretch) in update.gone_days {
            self.days.retain(|(series, day), _| *series != id || !stretch.contains(day));
        }
        self.days.extend(update.days.into_iter().map(|(id, day, figures)| ((id, day), figures)));
    }

    /// Computes the rows of series from their points alone, by the definitions.
    pub(crate) fn recomputed(&self, keys: &BTreeSet<SeriesKey>) -> Self {
        let mut new = Self { series: BTreeMap::new(), hours: BTreeMap::new(), days: BTreeMap::new(), ..self.clone() };
        for key in keys {
            let (id, kind) = (key.id(), kind_of(&key.metric));
            let points = self.points.values_of(id, Micros::MIN..Micros::MAX);
            let points_of_times = valid(&points);
            let (Some(first), Some(last)) = (points_of_times.first(), points_of_times.last()) else { continue };
            let end = floor(last.at + last.span.unwrap_or(0), HOUR) + HOUR;
            let mut begin = floor(first.at, HOUR);
            while begin < end {
                let hour = begin..begin + HOUR;
                let hour = std::slice::from_ref(&hour);
                if let Some(figures) = fold(&key.metric, kind, &points, hour)[0] {
                    new.hours.insert((id, begin), figures);
                    if floor(begin, DAY) < floor(last.at, DAY) {
                        let day = new.days.entry((id, floor(begin, DAY)));
                        day.and_modify(|day| *day = day.then(&figures)).or_insert(figures);
                    }
                }
                begin += HOUR;
            }
            let interval = interval_at(&points_of_times, points_of_times.len() - 1);
            let (first_at, last_at, last_value) = (first.at, last.at, last.value);
            let row = SeriesRow { id, key: key.clone(), kind, first_at, last_at, last_value, interval };
            new.series.insert(id, row);
        }
        new
    }
}

trait ValuesOf {
    fn values_of(&self, series: SeriesId, within: Range<Micros>) -> Vec<Point>;
}

impl ValuesOf for BTreeMap<(SeriesId, Micros, i64), Point> {
    fn values_of(&self, series: SeriesId, within: Range<Micros>) -> Vec<Point> {
        let range = (series, within.start, i64::MIN)..(series, within.end, i64::MIN);
        self.range(range).map(|(_, point)| *point).collect()
    }
}

#[async_trait]
impl AnalyticsStore for Memory {
    async fn read(&self, _: &TenantId, job: Job) -> Result<(), PortError> {
        let mut view = View(self.0.lock().unwrap().clone());
        let (sender, done) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = sender.send(job(&mut view));
        });
        done.await.unwrap()
    }
}

/// A snapshot.
struct View(State);

impl Snapshot for View {
    fn position(&mut self) -> Result<Position, PortError> {
        let (rows, head) = (&self.0.rows, i64::try_from(self.0.log.len()).unwrap());
        let root = TreeHash::of_nothing();
        Ok(Position { sequence: rows.position, root, head, stopped: rows.stopped.clone() })
    }

    fn devices(&mut self, filter: &SourceFilter, limit: u32) -> Result<Vec<SourceRow>, PortError> {
        let order = |source: &Source| (source.device_id.clone(), source.site_id.clone());
        let mut rows: Vec<SourceRow> = self.0.rows.sources.values().cloned().collect();
        rows.sort_by_key(|row| order(&row.source));
        rows.retain(|row| {
            let Source { site_id, device_id } = &row.source;
            let is_behind = filter.after.as_ref().is_none_or(|after| order(&row.source) > order(after));
            let is_of_site =
                filter.sites.is_empty() || site_id.as_ref().is_some_and(|site| filter.sites.contains(site));
            let is_it = filter.device_id.is_none() || filter.device_id == *device_id;
            device_id.is_some() && is_behind && is_of_site && is_it
        });
        rows.truncate(usize::try_from(limit).unwrap());
        Ok(rows)
    }

    fn sites(&mut self, after: Option<&str>, limit: u32) -> Result<Vec<(String, u64)>, PortError> {
        let mut sites: BTreeMap<String, u64> = BTreeMap::new();
        for Source { site_id, device_id } in self.0.rows.sources.values().map(|row| &row.source) {
            if let Some(site) = site_id {
                *sites.entry(site.clone()).or_default() += u64::from(device_id.is_some());
            }
        }
        let behind = sites.into_iter().filter(|(site, _)| after.is_none_or(|after| site.as_str() > after));
        Ok(behind.take(usize::try_from(limit).unwrap()).collect())
    }

    fn intake(&mut self, within: Range<Micros>) -> Result<Vec<Intake>, PortError> {
        let days = self.0.rows.intake.range(within);
        Ok(days.map(|(day, (requests, bytes))| Intake { day: *day, requests: *requests, bytes: *bytes }).collect())
    }

    fn counts(&mut self) -> Result<(u64, u64), PortError> {
        let devices = self.0.rows.sources.values().filter(|row| row.source.device_id.is_some()).count();
        Ok((devices as u64, self.0.rows.series.len() as u64))
    }

    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError> {
        let mut rows: Vec<SeriesRow> = self.0.rows.series.values().cloned().collect();
        rows.sort_by(|row, other| row.key.cmp(&other.key));
        rows.retain(|row| filter.admits(&row.key));
        rows.truncate(usize::try_from(limit).unwrap());
        Ok(rows)
    }

    fn hours(
        &mut self,
        stretches: &[(SeriesId, Range<Micros>)],
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError> {
        Ok(stretches.iter().flat_map(|(id, within)| select(&self.0.rows.hours, &[*id], within)).collect())
    }

    fn days(
        &mut self,
        series: &[SeriesId],
        within: Range<Micros>,
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError> {
        Ok(select(&self.0.rows.days, series, &within))
    }

    fn points(
        &mut self,
        series: SeriesId,
        within: Range<Micros>,
        before: usize,
        limit: usize,
    ) -> Result<Vec<Point>, PortError> {
        let times = self.0.rows.times(series);
        let first = times.range(..within.start).rev().take(before).last().copied().unwrap_or(within.start);
        let mut points = self.0.rows.points.values_of(series, first..within.start);
        let found = self.0.rows.points.values_of(series, within.clone());
        points.extend(found.iter().take(limit));
        if found.len() < limit
            && let Some(next) = times.range(within.end..).next()
        {
            points.extend(self.0.rows.points.values_of(series, *next..*next + 1));
        }
        Ok(points)
    }
}

fn select(
    rows: &BTreeMap<(SeriesId, Micros), Figures>,
    series: &[SeriesId],
    within: &Range<Micros>,
) -> Vec<(SeriesId, Micros, Figures)> {
    let rows = rows.iter().filter(|((id, begin), _)| series.contains(id) && within.contains(begin));
    rows.map(|((id, begin), figures)| (*id, *begin, *figures)).collect()
}

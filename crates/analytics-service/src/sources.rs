//! Sites and devices: last values, freshness and completeness.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{DAY, Freshness, HOUR, Micros, PATIENCE, SeriesId, Source, floor, unit_of};
use mass_domain::metrics::MetricKind;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, RowKey, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::period::instant;
use crate::series::share;
use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter, SourceRow};
use crate::stretches::{Piece, pieces, read_days, read_hours};
use crate::{AnalyticsService, Answer};

/// The least age at which a source is not fresh any more.
const FRESH_AT_LEAST: Micros = HOUR / 30;

/// The number of sources or series that are read together.
const TOGETHER: usize = 100;

/// The most series that are read together.
const MOST_SERIES: u32 = 20_000;

/// The most sites of one device that are shown.
const MOST_SITES: u32 = 100;

/// Reason for which sources are not shown.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// No document of the caller's tenant names it.
    #[error("no such site or device")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A page of the list of sites, by id.
#[derive(Debug, Clone)]
pub struct SiteQuery {
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
    /// Whether completeness is computed, which takes longer.
    pub completeness: bool,
}

/// A page of the list of devices, by device and then site.
#[derive(Debug, Clone)]
pub struct DeviceQuery {
    /// Of this site.
    pub site_id: Option<String>,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
    /// Whether completeness is computed, which takes longer.
    pub completeness: bool,
}

/// The last value of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct LastValue {
    /// The metric.
    pub metric: String,
    /// The symbol of its unit; `None` for unknown metrics.
    pub unit: Option<&'static str>,
    /// The way in which its values combine.
    pub kind: MetricKind,
    /// The value.
    pub value: f64,
    /// The time of its point.
    pub at: Timestamp,
}

/// The share of time for which the series of a source have values, of 0 to 1: of the time since their first points, up to
/// the last one of a fresh source and up to now for the others. `None` if there was no such time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Completeness {
    /// In the last 24 hours.
    pub day: Option<f64>,
    /// In the last 30 days.
    pub month: Option<f64>,
}

/// The state of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceState {
    /// How recent the last point is.
    pub freshness: Freshness,
    /// The time of the first point.
    pub first_seen: Timestamp,
    /// The time of the last point.
    pub last_seen: Timestamp,
    /// The learned interval between points, in microseconds: the least among the series with the last point.
    pub interval: Micros,
    /// The last values, by metric.
    pub values: Vec<LastValue>,
    /// The completeness, if it was asked for.
    pub completeness: Option<Completeness>,
}

/// A site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteState {
    /// Its id.
    pub site_id: String,
    /// The number of devices that name it.
    pub devices: u64,
    /// The state of its own series, which no device reports. `None` if there are none.
    pub state: Option<SourceState>,
}

/// A device at a site.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceState {
    /// Its id.
    pub device_id: String,
    /// The site, if its documents name one.
    pub site_id: Option<String>,
    /// The type that its newest document tells.
    pub device_type: Option<String>,
    /// The location that its newest document tells.
    pub location: Option<String>,
    /// The state of its series. `None` if there are none.
    pub state: Option<SourceState>,
}

impl AnalyticsService {
    /// Lists a page of sites.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::NotFound`].
    pub async fn sites(
        &self,
        principal: &Principal,
        query: &SiteQuery,
    ) -> Result<Answer<Page<SiteState>>, SourceError> {
        principal.require(Permission::AnalyticsRead)?;
        let scope = CursorScope::of("sites", []);
        let after = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let SiteQuery { limit, completeness, .. } = *query;
        let now = self.clock.now().unix_micros();
        self.answer(principal.tenant(), move |snapshot| {
            let after = after.as_ref().map(|SiteKey(id)| id.as_str());
            let rows = snapshot.sites(after, u32::from(limit.get()) + 1)?;
            let page = Page::from_lookahead(rows, limit, scope, |(id, _)| SiteKey(id.clone()));
            let sites: Vec<String> = page.items.iter().map(|(id, _)| id.clone()).collect();
            let mut states = BTreeMap::new();
            for sites in sites.chunks(TOGETHER) {
                let filter = SeriesFilter { sites: sites.to_vec(), without_devices: true, ..SeriesFilter::default() };
                states.append(&mut read_states(snapshot, &filter, now, completeness)?);
            }
            let item = |(site_id, devices): (String, u64)| {
                let source = Source { site_id: Some(site_id.clone()), device_id: None };
                SiteState { site_id, devices, state: states.remove(&source) }
            };
            Ok(Page { items: page.items.into_iter().map(item).collect(), next_cursor: page.next_cursor })
        })
        .await
    }

    /// Lists a page of devices.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::NotFound`].
    pub async fn devices(
        &self,
        principal: &Principal,
        query: &DeviceQuery,
    ) -> Result<Answer<Page<DeviceState>>, SourceError> {
        principal.require(Permission::AnalyticsRead)?;
        let scope = CursorScope::of("devices", [query.site_id.as_deref()]);
        let after = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let after = after.map(|SourceKey(source)| source);
        let filter = SourceFilter { sites: query.site_id.iter().cloned().collect(), after, ..SourceFilter::default() };
        let DeviceQuery { limit, completeness, .. } = *query;
        let now = self.clock.now().unix_micros();
        self.answer(principal.tenant(), move |snapshot| {
            let rows = snapshot.devices(&filter, u32::from(limit.get()) + 1)?;
            let page = Page::from_lookahead(rows, limit, scope, |row| SourceKey(row.source.clone()));
            let items = describe(snapshot, page.items, now, completeness)?;
            Ok(Page { items, next_cursor: page.next_cursor })
        })
        .await
    }

    /// Gets a device, once for each site that its documents name: the one with the newest document first. Never empty.
    ///
    /// # Errors
    /// [`SourceError`], but never [`SourceError::ForeignCursor`].
    pub async fn device(&self, principal: &Principal, id: &str) -> Result<Answer<Vec<DeviceState>>, SourceError> {
        principal.require(Permission::AnalyticsRead)?;
        let filter = SourceFilter { device_id: Some(id.to_owned()), ..SourceFilter::default() };
        let now = self.clock.now().unix_micros();
        self.answer(principal.tenant(), move |snapshot| {
            let mut rows = snapshot.devices(&filter, MOST_SITES)?;
            if rows.is_empty() {
                return Err(SourceError::NotFound);
            }
            rows.sort_by_key(|row| Reverse((row.at, row.accepted)));
            Ok(describe(snapshot, rows, now, true)?)
        })
        .await
    }
}

/// The key of a site in a cursor.
struct SiteKey(String);

impl RowKey for SiteKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok().map(Self)
    }
}

/// The key of a device at a site in a cursor: the length of the device's id in four bytes, the id, and the site after a
/// byte if there is one.
struct SourceKey(Source);

impl RowKey for SourceKey {
    fn to_bytes(&self) -> Vec<u8> {
        let device = self.0.device_id.as_deref().unwrap_or_default();
        let mut bytes = u32::try_from(device.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        bytes.extend_from_slice(device.as_bytes());
        if let Some(site) = &self.0.site_id {
            bytes.push(b'@');
            bytes.extend_from_slice(site.as_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (device, site) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let site_id = match site.split_first() {
            None => None,
            Some((b'@', site)) => Some(text(site)?),
            Some(_) => return None,
        };
        Some(Self(Source { site_id, device_id: Some(text(device)?) }))
    }
}

/// Adds the states of their series to the rows of devices.
fn describe(
    snapshot: &mut dyn Snapshot,
    rows: Vec<SourceRow>,
    now: Micros,
    completeness: bool,
) -> Result<Vec<DeviceState>, PortError> {
    let ids: BTreeSet<&String> = rows.iter().filter_map(|row| row.source.device_id.as_ref()).collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let mut states = BTreeMap::new();
    for devices in ids.chunks(TOGETHER) {
        let filter = SeriesFilter { devices: devices.to_vec(), ..SeriesFilter::default() };
        states.append(&mut read_states(snapshot, &filter, now, completeness)?);
    }
    let item = |row: SourceRow| {
        let state = states.remove(&row.source);
        let SourceRow { source: Source { site_id, device_id }, device_type, location, .. } = row;
        DeviceState { device_id: device_id.unwrap_or_default(), site_id, device_type, location, state }
    };
    Ok(rows.into_iter().map(item).collect())
}

/// Computes the states of sources from their series.
fn read_states(
    snapshot: &mut dyn Snapshot,
    filter: &SeriesFilter,
    now: Micros,
    completeness: bool,
) -> Result<BTreeMap<Source, SourceState>, PortError> {
    let mut sources: BTreeMap<Source, Vec<SeriesRow>> = BTreeMap::new();
    for row in snapshot.series(filter, MOST_SERIES)? {
        sources.entry(row.key.source.clone()).or_default().push(row);
    }
    let mut states = BTreeMap::new();
    for (source, rows) in &sources {
        states.extend(state(rows, now)?.map(|state| (source.clone(), state)));
    }
    if completeness {
        let rows: Vec<SeriesRow> = sources.values().flatten().cloned().collect();
        let month = covered(snapshot, &rows, floor(now - 30 * DAY, HOUR)..now)?;
        let day = covered(snapshot, &rows, floor(now - DAY, HOUR)..now)?;
        for (source, state) in &mut states {
            let rows = sources.get(source).map(Vec::as_slice).unwrap_or_default();
            let end = if state.freshness == Freshness::Fresh { state.last_seen.unix_micros() } else { now };
            state.completeness = Some(Completeness {
                day: complete(rows, &day, floor(now - DAY, HOUR)..end),
                month: complete(rows, &month, floor(now - 30 * DAY, HOUR)..end),
            });
        }
    }
    Ok(states)
}

/// Computes the state of one source from its series, without completeness.
fn state(rows: &[SeriesRow], now: Micros) -> Result<Option<SourceState>, PortError> {
    let first = rows.iter().map(|row| row.first_at).min();
    let last = rows.iter().map(|row| row.last_at).max();
    let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
    let interval = rows.iter().filter(|row| row.last_at == last).map(|row| row.interval).min().unwrap_or(HOUR);
    let value = |row: &SeriesRow| {
        let SeriesRow { key, kind, last_value: value, last_at, .. } = row;
        let unit = unit_of(&key.metric);
        Ok(LastValue { metric: key.metric.clone(), unit, kind: *kind, value: *value, at: instant(*last_at)? })
    };
    Ok(Some(SourceState {
        freshness: freshness(now - last, interval),
        first_seen: instant(first)?,
        last_seen: instant(last)?,
        interval,
        values: rows.iter().map(value).collect::<Result<_, PortError>>()?,
        completeness: None,
    }))
}

/// Judges the age of the last point.
fn freshness(age: Micros, interval: Micros) -> Freshness {
    if age <= (interval * PATIENCE).max(FRESH_AT_LEAST) {
        Freshness::Fresh
    } else if age <= (interval * 4 * PATIENCE).max(DAY) {
        Freshness::Late
    } else {
        Freshness::Silent
    }
}

/// Reads the time that series cover in a stretch, which begins with an hour.
fn covered(
    snapshot: &mut dyn Snapshot,
    rows: &[SeriesRow],
    stretch: Range<Micros>,
) -> Result<HashMap<SeriesId, Micros>, PortError> {
    let mut covered = HashMap::new();
    let end = floor(stretch.end, HOUR) + HOUR;
    for rows in rows.chunks(TOGETHER) {
        for piece in pieces(&(stretch.start..end)) {
            let table = match piece {
                Piece::Days(days) => read_days(snapshot, rows, &days)?,
                Piece::Hours(hours) | Piece::Part(hours) => read_hours(snapshot, rows, &hours)?,
            };
            for ((id, _), figures) in table {
                *covered.entry(id).or_default() += figures.covered;
            }
        }
    }
    Ok(covered)
}

/// Returns the share of a stretch that the series of a source cover since their first points.
fn complete(rows: &[SeriesRow], covered: &HashMap<SeriesId, Micros>, stretch: Range<Micros>) -> Option<f64> {
    let elapsed = rows.iter().map(|row| (stretch.end - stretch.start.max(row.first_at)).max(0)).sum();
    let covered = rows.iter().filter_map(|row| covered.get(&row.id)).sum();
    (elapsed > 0).then(|| share(covered, elapsed).min(1.0))
}

#[cfg(test)]
mod tests;

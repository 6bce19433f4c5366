//! Indicators of sites.

mod read;
mod roles;
mod tally;
mod values;

use std::collections::BTreeSet;
use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{AbsenceCode, Figures, HOUR, Indicator, Micros, Resolution, SeriesId, Split};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::answer::{Halt, Output};
use crate::period::{self, Buckets, PeriodError, instant};
use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter};
use crate::stretches::{self, Table};
use crate::{AnalyticsService, AnswerStream, TooSlow};
use read::{ROWS, add_up};
use roles::Roles;
use tally::{Tally, float};
use values::values;

/// The most sites of one answer.
pub const MAX_SITES: usize = 1000;

/// The number of sites that shows that there are too many.
const LOOKAHEAD: u32 = 1001;

/// The most days of each step.
const LIMITS: [(&str, i64); 2] = [("day", 1096), ("month", 7305)];

/// The most buckets of a page.
const PAGE: usize = 100;

/// The most sites and devices whose series are found together.
const SOURCES: u64 = 900;

/// The most days whose hours are read together to find the greatest powers.
const PEAKS: usize = 800;

/// The most series of which rows are read together.
const SERIES: usize = 1000;

/// Reason for which indicators are not shown.
#[derive(Debug, thiserror::Error)]
pub enum KpiError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The period, its step or its zone cannot be used.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// No document names the site.
    #[error("unknown site \"{0}\"")]
    UnknownSite(String),
    /// The tenant has more sites.
    #[error("expected at most {MAX_SITES} sites, found more: name sites")]
    TooMany,
    /// A tariff or a factor is negative or not finite.
    #[error("expected a finite number of 0 or more, found {0}")]
    Rate(f64),
    /// It took too long.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A selection of sites and a period.
#[derive(Debug, Clone)]
pub struct KpiQuery {
    /// The sites; empty for all.
    pub sites: Vec<String>,
    /// The begin of the period.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub to: Timestamp,
    /// The stretches: the whole period (at most 20 years), days (at most 3 years) or months (at most 20 years).
    pub step: Split,
    /// The zone of days and months; `None` for UTC.
    pub zone: Option<String>,
    /// The price of a kWh, in any currency, instead of the series of prices.
    pub tariff: Option<f64>,
    /// The carbon dioxide of a kWh, in kg, instead of the series of carbon intensities.
    pub carbon: Option<f64>,
}

/// The value of an indicator.
#[derive(Debug, Clone, PartialEq)]
pub struct Kpi {
    /// The indicator.
    pub indicator: Indicator,
    /// Its value; `None` rather than a made-up number.
    pub value: Option<f64>,
    /// The unit; `1` for a quantity of dimension one, `currency` for a cost by a tariff.
    pub unit: &'static str,
    /// The share of the stretch that the value is computed from, of 0 to 1.
    pub coverage: f64,
    /// The reason for which there is no value. Exactly those without a value have one.
    pub absence: Option<Absence>,
}

/// The reason for which an indicator has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The code, for programs.
    pub code: AbsenceCode,
    /// A phrase for people.
    pub reason: String,
}

impl Absence {
    pub(crate) fn new(code: AbsenceCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// The indicators of a site for a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteKpis {
    /// The site.
    pub site_id: String,
    /// The begin of the stretch.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// The indicators, in the order of [`Indicator::ALL`].
    pub kpis: Vec<Kpi>,
    /// The hour in which the facility's power was greatest, by its begin.
    pub peak_at: Option<Timestamp>,
}

/// Indicators, page by page: by site, and then by stretch. The head has the sites.
pub type KpiStream = AnswerStream<Vec<String>, Vec<SiteKpis>, KpiError>;

type Pages = Output<Vec<String>, Vec<SiteKpis>, KpiError>;

impl AnalyticsService {
    /// Begins to compute the indicators of sites.
    ///
    /// # Errors
    /// [`KpiError`].
    pub async fn kpis(&self, principal: &Principal, query: KpiQuery) -> Result<KpiStream, KpiError> {
        principal.require(Permission::AnalyticsRead)?;
        let KpiQuery { sites, from, to, step, zone, tariff, carbon } = query;
        let limits = if step == Split::Day { &LIMITS[..] } else { &LIMITS[1..] };
        let period = period::check(from, to, limits)?;
        let zone = period::zone(zone.as_deref())?;
        if let Some(rate) = [tariff, carbon].into_iter().flatten().find(|rate| !(0.0..f64::INFINITY).contains(rate)) {
            return Err(KpiError::Rate(rate));
        }
        if sites.len() > MAX_SITES {
            return Err(KpiError::TooMany);
        }
        let buckets: Vec<Range<Micros>> = match step {
            Split::Period => vec![period.clone()],
            Split::Day => Buckets::new(period.clone(), Resolution::Day, zone).collect(),
            Split::Month => Buckets::new(period.clone(), Resolution::Month, zone).collect(),
        };
        self.stream(principal.tenant(), move |snapshot, output| {
            let as_of = snapshot.position()?;
            let sites = select(snapshot, sites).map_err(Halt::Failed)?;
            output.head(as_of, sites.iter().map(|(site, _)| site.clone()).collect())?;
            for sites in together(&sites) {
                let found = Roles::find(snapshot, &sites, &period, (tariff, carbon))?;
                let mut rest = found.as_slice();
                while !rest.is_empty() {
                    let (next, others) = rest.split_at(readable(rest, &buckets));
                    send(snapshot, output, next, &buckets)?;
                    rest = others;
                }
            }
            Ok(())
        })
        .await
    }
}

/// A site with the number of its devices.
type Site = (String, u64);

/// Returns the sites in their order, once each. Requires that documents name them. The devices of named ones are not counted.
fn select(snapshot: &mut dyn Snapshot, named: Vec<String>) -> Result<Vec<Site>, KpiError> {
    if named.is_empty() {
        let sites = snapshot.sites(None, LOOKAHEAD)?;
        return if sites.len() > MAX_SITES { Err(KpiError::TooMany) } else { Ok(sites) };
    }
    let mut sites = Vec::new();
    for site in BTreeSet::from_iter(named) {
        let series = SeriesFilter { sites: vec![site.clone()], ..SeriesFilter::default() };
        let devices = SourceFilter { sites: vec![site.clone()], ..SourceFilter::default() };
        if snapshot.series(&series, 1)?.is_empty() && snapshot.devices(&devices, 1)?.is_empty() {
            return Err(KpiError::UnknownSite(site));
        }
        sites.push((site, u64::MAX));
    }
    Ok(sites)
}

/// Divides sites so that a part has a bounded number of sources, or one site.
fn together(sites: &[Site]) -> Vec<Vec<String>> {
    let (mut parts, mut sources): (Vec<Vec<String>>, u64) = (Vec::new(), 0);
    for (site, devices) in sites {
        sources = sources.saturating_add(*devices).saturating_add(1);
        match parts.last_mut() {
            Some(part) if sources <= SOURCES => part.push(site.clone()),
            _ => {
                parts.push(vec![site.clone()]);
                sources = devices.saturating_add(1);
            }
        }
    }
    parts
}

/// Returns the number of sites, at least one, of which rows are read together.
fn readable(sites: &[Roles], buckets: &[Range<Micros>]) -> usize {
    let rows = stretches::rows_of(buckets).max(1);
    let mut room = ROWS / rows;
    let fits = |roles: &&Roles| {
        let left = room.checked_sub(roles.counted().len().max(1));
        room = left.unwrap_or(0);
        left.is_some()
    };
    sites.iter().take_while(fits).count().max(1)
}

/// Computes and sends the indicators of sites.
fn send(
    snapshot: &mut dyn Snapshot,
    output: &Pages,
    sites: &[Roles],
    buckets: &[Range<Micros>],
) -> Result<(), Halt<KpiError>> {
    let tallies = add_up(snapshot, sites, buckets)?;
    let peaks = peaks(snapshot, sites, &tallies)?;
    let intake = intake(snapshot, sites, buckets)?;
    let of_site = |(roles, tallies)| buckets.iter().zip(tallies).map(move |(bucket, tally)| (roles, bucket, tally));
    let cells = sites.iter().zip(&tallies).flat_map(of_site);
    let mut page = Vec::new();
    for (((roles, bucket, tally), peak), intake) in cells.zip(peaks).zip(intake.into_iter().flatten()) {
        page.push(SiteKpis {
            site_id: roles.site_id.clone(),
            from: instant(bucket.start)?,
            to: instant(bucket.end)?,
            kpis: values(roles, tally, intake, float(bucket.end - bucket.start)),
            peak_at: peak.map(instant).transpose()?,
        });
        if page.len() == PAGE {
            output.page(std::mem::take(&mut page))?;
        }
    }
    if page.is_empty() { Ok(()) } else { output.page(page) }
}

/// Adds up the figures of all intake temperatures of each site, for each of some buckets.
fn intake(
    snapshot: &mut dyn Snapshot,
    sites: &[Roles],
    buckets: &[Range<Micros>],
) -> Result<Vec<Vec<Option<Figures>>>, PortError> {
    let mut totals: Vec<Vec<Option<Figures>>> = vec![vec![None; buckets.len()]; sites.len()];
    let of_site = |(site, roles): (usize, &Roles)| roles.intake.iter().cloned().map(move |row| (site, row)).collect();
    let rows: Vec<(usize, SeriesRow)> = sites.iter().enumerate().flat_map::<Vec<_>, _>(of_site).collect();
    let (sites, rows): (Vec<usize>, Vec<SeriesRow>) = rows.into_iter().unzip();
    let together = (ROWS / stretches::rows_of(buckets).max(1)).clamp(1, SERIES);
    for (sites, rows) in sites.chunks(together).zip(rows.chunks(together)) {
        for (site, figures) in sites.iter().zip(stretches::read_together(snapshot, rows, buckets)?) {
            for (total, next) in totals[*site].iter_mut().zip(figures) {
                *total = Figures::total(total.iter().chain(&next));
            }
        }
    }
    Ok(totals)
}

/// Finds the hours with the greatest power of the facility, in the order of sites and buckets.
fn peaks(
    snapshot: &mut dyn Snapshot,
    sites: &[Roles],
    tallies: &[Vec<Tally>],
) -> Result<Vec<Option<Micros>>, PortError> {
    let (mut begins, mut days) = (Vec::new(), Vec::new());
    for (roles, tallies) in sites.iter().zip(tallies) {
        for Tally { peak, .. } in tallies {
            if let (Some((peak, cell)), [row]) = (peak, roles.facility.as_slice())
                && cell.end - cell.start > HOUR
            {
                days.push((begins.len(), *peak, (row.id, cell.clone())));
            }
            begins.push(peak.as_ref().map(|(_, cell)| cell.start));
        }
    }
    for days in days.chunks(PEAKS) {
        let stretches: Vec<(SeriesId, Range<Micros>)> = days.iter().map(|(.., stretch)| stretch.clone()).collect();
        let table: Table =
            snapshot.hours(&stretches)?.into_iter().map(|(id, hour, figures)| ((id, hour), figures)).collect();
        for (place, peak, (id, day)) in days {
            let mut hours = table.range((*id, day.start)..(*id, day.end));
            if let Some(((_, hour), _)) = hours.find(|(_, figures)| figures.max.to_bits() == peak.to_bits()) {
                begins[*place] = Some(*hour);
            }
        }
    }
    Ok(begins)
}

#[cfg(test)]
mod tests;

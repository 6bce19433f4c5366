//! Indicators of sites.

mod read;
mod roles;
mod tally;
mod values;

use std::collections::BTreeSet;
use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{Figures, HOUR, Indicator, Micros, Resolution, Split};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::answer::Halt;
use crate::period::{self, Buckets, PeriodError, instant};
use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter};
use crate::stretches::{self, read_hours};
use crate::{AnalyticsService, AnswerStream, TooSlow};
use read::{ROWS, Reader};
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
    /// The reason for which there is no value, as a phrase. Exactly those without a value have one.
    pub reason: Option<String>,
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
            output.head(as_of, sites.clone())?;
            for site in &sites {
                let roles = Roles::find(snapshot, site, &period, (tariff, carbon))?;
                let tallies = Reader::tally(snapshot, &roles, &buckets)?;
                for (buckets, tallies) in buckets.chunks(PAGE).zip(tallies.chunks(PAGE)) {
                    output.page(page(snapshot, site, &roles, buckets, tallies)?)?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Returns the sites in their order, once each. Requires that documents name them.
fn select(snapshot: &mut dyn Snapshot, named: Vec<String>) -> Result<Vec<String>, KpiError> {
    if named.is_empty() {
        let sites = snapshot.sites(None, LOOKAHEAD)?;
        let is_too_many = sites.len() > MAX_SITES;
        return if is_too_many { Err(KpiError::TooMany) } else { Ok(sites.into_iter().map(|(id, _)| id).collect()) };
    }
    let mut sites = Vec::new();
    for site in BTreeSet::from_iter(named) {
        let series = SeriesFilter { sites: vec![site.clone()], ..SeriesFilter::default() };
        let devices = SourceFilter { site_id: Some(site.clone()), ..SourceFilter::default() };
        if snapshot.series(&series, 1)?.is_empty() && snapshot.devices(&devices, 1)?.is_empty() {
            return Err(KpiError::UnknownSite(site));
        }
        sites.push(site);
    }
    Ok(sites)
}

/// Computes the indicators of some buckets of a site.
fn page(
    snapshot: &mut dyn Snapshot,
    site: &str,
    roles: &Roles,
    buckets: &[Range<Micros>],
    tallies: &[Tally],
) -> Result<Vec<SiteKpis>, PortError> {
    let intake = intake(snapshot, &roles.intake, buckets)?;
    let mut page = Vec::with_capacity(buckets.len());
    for ((bucket, tally), intake) in buckets.iter().zip(tallies).zip(intake) {
        page.push(SiteKpis {
            site_id: site.to_owned(),
            from: instant(bucket.start)?,
            to: instant(bucket.end)?,
            kpis: values(roles, tally, intake, float(bucket.end - bucket.start)),
            peak_at: peak_at(snapshot, roles, tally)?,
        });
    }
    Ok(page)
}

/// Adds up the figures of all intake temperatures, for each of some buckets.
fn intake(
    snapshot: &mut dyn Snapshot,
    rows: &[SeriesRow],
    buckets: &[Range<Micros>],
) -> Result<Vec<Option<Figures>>, PortError> {
    let mut totals: Vec<Option<Figures>> = vec![None; buckets.len()];
    let together = (ROWS / stretches::rows_of(buckets).max(1)).clamp(1, SERIES);
    for rows in rows.chunks(together) {
        for figures in stretches::read_together(snapshot, rows, buckets)? {
            for (total, next) in totals.iter_mut().zip(figures) {
                *total = Figures::total(total.iter().chain(&next));
            }
        }
    }
    Ok(totals)
}

/// Finds the hour with the greatest power of the facility.
fn peak_at(snapshot: &mut dyn Snapshot, roles: &Roles, tally: &Tally) -> Result<Option<Timestamp>, PortError> {
    let Some((peak, cell)) = &tally.peak else { return Ok(None) };
    let mut begin = cell.start;
    if cell.end - cell.start > HOUR {
        let hours = read_hours(snapshot, &roles.facility, cell)?;
        let first = hours.into_iter().find(|(_, figures)| figures.max.to_bits() == peak.to_bits());
        begin = first.map_or(begin, |((_, hour), _)| hour);
    }
    instant(begin).map(Some)
}

#[cfg(test)]
mod tests;

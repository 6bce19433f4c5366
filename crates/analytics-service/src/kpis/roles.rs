//! The series of a site, by their roles.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use mass_domain::analytics::{AbsenceCode, COST_RATE, ENERGY_PRICE, FACILITY_POWER, LONGEST_SPAN, Micros, Source};
use mass_domain::port::PortError;

use super::Absence;
use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter};

/// The most series of sites that are found together.
const MOST_SERIES: u32 = 10_000;

pub(super) const IT: &str = "it_power_kw";
pub(super) const HVAC: &str = "hvac_power_kw";
pub(super) const FACILITY: &str = FACILITY_POWER;
pub(super) const WATER: &str = "water_m3";
pub(super) const INTAKE: &str = "inlet_temperature_celsius";
const REUSED_POWER: &str = "reused_power_kw";
const REUSED_ENERGY: &str = "reused_energy_kwh";
pub(super) const PRICE: &str = ENERGY_PRICE;
const CARBON: &str = "carbon_intensity_g_per_kwh";
const AIR: &str = "temperature_celsius";

const METRICS: [&str; 11] =
    [IT, HVAC, FACILITY, WATER, INTAKE, REUSED_POWER, REUSED_ENERGY, PRICE, COST_RATE, CARBON, AIR];

/// The beginnings of the types of devices whose temperature is that of the air that they take in.
const TAKES_IN: [&str; 2] = ["rack", "server"];

/// The amount per kWh of the facility's energy.
#[derive(Debug, Clone)]
pub(super) enum Rate {
    /// One number.
    Fixed(f64),
    /// A series, and the factor that its values are multiplied by.
    Series(Box<SeriesRow>, f64),
    /// A series of the amounts themselves: the products of power and rate.
    Product(Box<SeriesRow>),
    /// There is none, for this reason.
    Missing(Absence),
}

/// The series of a site in a period. If the site's own documents have a metric, those of its devices are left out.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub(super) site_id: String,
    pub(super) it: Vec<SeriesRow>,
    pub(super) hvac: Vec<SeriesRow>,
    pub(super) facility: Vec<SeriesRow>,
    pub(super) water: Vec<SeriesRow>,
    pub(super) reused: Vec<SeriesRow>,
    /// In currency per kWh.
    pub(super) price: Rate,
    /// In kg per kWh.
    pub(super) carbon: Rate,
    /// Temperatures of the air that equipment takes in.
    pub(super) intake: Vec<SeriesRow>,
}

impl Roles {
    /// Finds the series of sites. A tariff or a factor stands for the series of rates.
    pub(super) fn find(
        snapshot: &mut dyn Snapshot,
        sites: &[String],
        period: &Range<Micros>,
        rates: (Option<f64>, Option<f64>),
    ) -> Result<Vec<Self>, PortError> {
        let metrics = METRICS.iter().map(|metric| (*metric).to_owned()).collect();
        let filter = SeriesFilter { sites: sites.to_vec(), metrics, ..SeriesFilter::default() };
        let mut rows = snapshot.series(&filter, MOST_SERIES)?;
        // A value may hold from before the period.
        rows.retain(|row| row.first_at < period.end && row.last_at + LONGEST_SPAN > period.start);
        let takes_in = takes_in(snapshot, &rows)?;
        let mut of_sites: HashMap<String, Vec<SeriesRow>> = HashMap::new();
        for row in rows {
            of_sites.entry(row.key.source.site_id.clone().unwrap_or_default()).or_default().push(row);
        }
        let roles = |site: &String| Self::new(site, of_sites.remove(site).unwrap_or_default(), &takes_in, rates);
        Ok(sites.iter().map(roles).collect())
    }

    fn new(
        site: &str,
        rows: Vec<SeriesRow>,
        takes_in: &HashSet<Source>,
        (tariff, carbon): (Option<f64>, Option<f64>),
    ) -> Self {
        let (facility, reused) = (pick(&rows, FACILITY), pick(&rows, REUSED_POWER));
        let price = rate(&rows, PRICE, 1.0, tariff, "tariff");
        Self {
            site_id: site.to_owned(),
            it: pick(&rows, IT),
            hvac: pick(&rows, HVAC),
            water: pick(&rows, WATER),
            reused: if reused.is_empty() { pick(&rows, REUSED_ENERGY) } else { reused },
            price: product(&rows, &facility, &price).unwrap_or(price),
            facility,
            carbon: rate(&rows, CARBON, 0.001, carbon, "factor"),
            intake: intake(rows, takes_in),
        }
    }

    /// Returns all series but those of temperatures.
    pub(super) fn counted(&self) -> Vec<SeriesRow> {
        let Self { it, hvac, facility, water, reused, .. } = self;
        [it, hvac, facility, water, reused].into_iter().flatten().chain(self.rates()).cloned().collect()
    }

    /// Returns the series that cost and CO₂e follow from.
    pub(super) fn rated(&self) -> Vec<SeriesRow> {
        self.facility.iter().chain(self.rates()).cloned().collect()
    }

    fn rates(&self) -> impl Iterator<Item = &SeriesRow> {
        [&self.price, &self.carbon].into_iter().filter_map(|rate| match rate {
            Rate::Series(row, _) | Rate::Product(row) => Some(&**row),
            Rate::Fixed(_) | Rate::Missing(_) => None,
        })
    }
}

/// Returns the site's own series of a metric, or else those of its devices.
fn pick(rows: &[SeriesRow], metric: &str) -> Vec<SeriesRow> {
    let rows = rows.iter().filter(|row| row.key.metric == metric);
    let (own, others): (Vec<&SeriesRow>, Vec<&SeriesRow>) = rows.partition(|row| row.key.source.device_id.is_none());
    if own.is_empty() { others } else { own }.into_iter().cloned().collect()
}

fn rate(rows: &[SeriesRow], metric: &str, factor: f64, fixed: Option<f64>, stand_in: &str) -> Rate {
    let found = pick(rows, metric);
    match (fixed, <[SeriesRow; 1]>::try_from(found)) {
        (Some(fixed), _) => Rate::Fixed(fixed),
        (None, Ok([row])) => Rate::Series(Box::new(row), factor),
        (None, Err(found)) if found.is_empty() => {
            Rate::Missing(Absence::new(AbsenceCode::NoRate, format!("no {stand_in}, and no series of {metric}")))
        }
        (None, Err(_)) => Rate::Missing(Absence::new(
            AbsenceCode::SeveralRates,
            format!("no {stand_in}, and several devices with {metric}"),
        )),
    }
}

/// Returns the series of costs if power and price are told by the site's own reports: each has both, for one window.
fn product(rows: &[SeriesRow], facility: &[SeriesRow], price: &Rate) -> Option<Rate> {
    let is_own = |row: &SeriesRow| row.key.source.device_id.is_none();
    let Rate::Series(price, _) = price else { return None };
    let cost = rows.iter().find(|row| is_own(row) && row.key.metric == COST_RATE)?;
    (is_own(price) && facility.iter().all(is_own)).then(|| Rate::Product(Box::new(cost.clone())))
}

/// Lists the devices whose temperature is that of the air that they take in.
fn takes_in(snapshot: &mut dyn Snapshot, rows: &[SeriesRow]) -> Result<HashSet<Source>, PortError> {
    let with_air = rows.iter().filter(|row| row.key.metric == AIR);
    let sites: BTreeSet<String> = with_air.filter_map(|row| row.key.source.site_id.clone()).collect();
    if sites.is_empty() {
        return Ok(HashSet::new());
    }
    let filter = SourceFilter { sites: sites.into_iter().collect(), ..SourceFilter::default() };
    let mut devices = snapshot.devices(&filter, MOST_SERIES)?;
    devices.retain(|device| {
        let kind = device.device_type.as_deref().unwrap_or_default().to_lowercase();
        TAKES_IN.iter().any(|begin| kind.starts_with(begin))
    });
    Ok(devices.into_iter().map(|device| device.source).collect())
}

fn intake(mut rows: Vec<SeriesRow>, takes_in: &HashSet<Source>) -> Vec<SeriesRow> {
    rows.retain(|row| row.key.metric == INTAKE || (row.key.metric == AIR && takes_in.contains(&row.key.source)));
    rows
}

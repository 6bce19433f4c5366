//! The series of a site, by their roles.

use std::collections::HashSet;
use std::ops::Range;

use mass_domain::analytics::{LONGEST_SPAN, Micros, Source};
use mass_domain::port::PortError;

use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter};

/// The most series of one site.
const MOST_SERIES: u32 = 10_000;

pub(super) const IT: &str = "it_power_kw";
pub(super) const HVAC: &str = "hvac_power_kw";
pub(super) const FACILITY: &str = "facility_power_kw";
pub(super) const WATER: &str = "water_m3";
pub(super) const INTAKE: &str = "inlet_temperature_celsius";
const REUSED_POWER: &str = "reused_power_kw";
const REUSED_ENERGY: &str = "reused_energy_kwh";
const PRICE: &str = "energy_price_usd_per_kwh";
const CARBON: &str = "carbon_intensity_g_per_kwh";
const AIR: &str = "temperature_celsius";

const METRICS: [&str; 10] = [IT, HVAC, FACILITY, WATER, INTAKE, REUSED_POWER, REUSED_ENERGY, PRICE, CARBON, AIR];

/// The beginnings of the types of devices whose temperature is that of the air that they take in.
const TAKES_IN: [&str; 2] = ["rack", "server"];

/// The amount per kWh of the facility's energy.
#[derive(Debug, Clone)]
pub(super) enum Rate {
    /// One number.
    Fixed(f64),
    /// A series, and the factor that its values are multiplied by.
    Series(Box<SeriesRow>, f64),
    /// There is none, for this reason.
    Missing(String),
}

/// The series of a site in a period. If the site's own documents have a metric, those of its devices are left out.
#[derive(Debug, Clone)]
pub(super) struct Roles {
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
    /// Finds the series of a site. A tariff or a factor stands for the series of rates.
    pub(super) fn find(
        snapshot: &mut dyn Snapshot,
        site: &str,
        period: &Range<Micros>,
        (tariff, carbon): (Option<f64>, Option<f64>),
    ) -> Result<Self, PortError> {
        let metrics = METRICS.iter().map(|metric| (*metric).to_owned()).collect();
        let filter = SeriesFilter { sites: vec![site.to_owned()], metrics, ..SeriesFilter::default() };
        let mut rows = snapshot.series(&filter, MOST_SERIES)?;
        // A value may hold from before the period.
        rows.retain(|row| row.first_at < period.end && row.last_at + LONGEST_SPAN > period.start);
        let reused = pick(&rows, REUSED_POWER);
        Ok(Self {
            it: pick(&rows, IT),
            hvac: pick(&rows, HVAC),
            facility: pick(&rows, FACILITY),
            water: pick(&rows, WATER),
            reused: if reused.is_empty() { pick(&rows, REUSED_ENERGY) } else { reused },
            price: rate(&rows, PRICE, 1.0, tariff, "tariff"),
            carbon: rate(&rows, CARBON, 0.001, carbon, "factor"),
            intake: intake(snapshot, site, rows)?,
        })
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
            Rate::Series(row, _) => Some(&**row),
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
        (None, Err(found)) if found.is_empty() => Rate::Missing(format!("no {stand_in}, and no series of {metric}")),
        (None, Err(_)) => Rate::Missing(format!("no {stand_in}, and several devices with {metric}")),
    }
}

fn intake(snapshot: &mut dyn Snapshot, site: &str, rows: Vec<SeriesRow>) -> Result<Vec<SeriesRow>, PortError> {
    let mut takes_in: HashSet<Source> = HashSet::new();
    if rows.iter().any(|row| row.key.metric == AIR) {
        let filter = SourceFilter { site_id: Some(site.to_owned()), ..SourceFilter::default() };
        for device in snapshot.devices(&filter, MOST_SERIES)? {
            let kind = device.device_type.unwrap_or_default().to_lowercase();
            if TAKES_IN.iter().any(|begin| kind.starts_with(begin)) {
                takes_in.insert(device.source);
            }
        }
    }
    let is_intake =
        |row: &SeriesRow| row.key.metric == INTAKE || (row.key.metric == AIR && takes_in.contains(&row.key.source));
    Ok(rows.into_iter().filter(is_intake).collect())
}

//! The hours of a site: energies, weather and inlet temperature, as far as they are fully covered.

use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{Figures, HOUR, LONGEST_SPAN, Micros, SeriesId};
use mass_domain::port::PortError;
use mass_domain::savings::PriceSeries;

use crate::store::{SeriesFilter, SeriesRow, Snapshot};
use crate::stretches::{Table, within_each};
use crate::{AnalyticsService, Answer};

/// The most series that the hours of a site are added up from.
const MAX_HOUR_SERIES: u32 = 500;

/// The most rows that are read at once, unless one hour has more.
const ROWS: usize = 20_000;

const IT: &str = "it_power_kw";
const HVAC: &str = "hvac_power_kw";
const FACILITY: &str = "facility_power_kw";
const INLET: &str = "inlet_temperature_celsius";
const TEMPERATURE: &str = "temperature_celsius";
const HUMIDITY: &str = "humidity_percent";
const PRESSURE: &str = "pressure_hpa";

/// The metrics that hours of a site are added up from.
pub(crate) const METRICS: [&str; 7] = [IT, HVAC, FACILITY, INLET, TEMPERATURE, HUMIDITY, PRESSURE];

/// The hours of a site, and the device that measures its weather.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoursQuery {
    /// The site.
    pub site_id: String,
    /// The device whose `temperature_celsius`, `humidity_percent` and `pressure_hpa` are those outdoors.
    pub weather_device: String,
    /// The series of prices, if hours have one.
    pub price: Option<PriceSeries>,
    /// Stretches of full hours in UTC, in their order. They do not overlap.
    pub within: Vec<Range<Micros>>,
}

/// An hour of a site. A value is `None` unless every series that it follows from covers the hour fully.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SiteHour {
    /// Its begin.
    pub begin: Micros,
    /// The energy of the IT equipment, in kWh.
    pub it_kwh: Option<f64>,
    /// The energy of heating, ventilation and cooling, in kWh.
    pub hvac_kwh: Option<f64>,
    /// The energy of the facility, in kWh.
    pub facility_kwh: Option<f64>,
    /// The mean temperature outdoors, in °C.
    pub temperature_celsius: Option<f64>,
    /// The mean relative humidity outdoors, in %.
    pub humidity_percent: Option<f64>,
    /// The mean air pressure outdoors, in hPa.
    pub pressure_hpa: Option<f64>,
    /// The mean temperature of the air that equipment takes in, over all series of `inlet_temperature_celsius`, in °C.
    pub inlet_celsius: Option<f64>,
    /// The mean price of a kWh, if the query names a series of prices.
    pub price: Option<f64>,
}

/// Reason for which hours are not read.
#[derive(Debug, thiserror::Error)]
pub enum HoursError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The site has more series of these metrics.
    #[error("expected at most {MAX_HOUR_SERIES} series of powers, weather and inlet temperatures, found more")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl AnalyticsService {
    /// Reads the hours of a site.
    ///
    /// # Errors
    /// [`HoursError`].
    pub async fn site_hours(
        &self,
        principal: &Principal,
        query: HoursQuery,
    ) -> Result<Answer<Vec<SiteHour>>, HoursError> {
        principal.require(Permission::AnalyticsRead)?;
        self.answer(principal.tenant(), move |snapshot| site_hours(snapshot, &query)).await
    }
}

/// Series and the figures of their hours: all that the hours of a site are read from.
pub(crate) trait HourSource {
    /// Lists series as [`Snapshot::series`] does.
    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError>;

    /// Returns the hours of series that begin within the stretch: by series, and then by hour.
    fn hours(
        &mut self,
        series: &[SeriesId],
        within: Range<Micros>,
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError>;
}

impl<T: Snapshot + ?Sized> HourSource for T {
    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError> {
        Snapshot::series(self, filter, limit)
    }

    fn hours(
        &mut self,
        series: &[SeriesId],
        within: Range<Micros>,
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError> {
        Snapshot::hours(self, &within_each(series, &within))
    }
}

/// Reads the hours of a site: all of the stretches, in their order.
///
/// A series takes part if it can have values within the stretches. Powers are those of the site's own reports if there are
/// any, and those of its devices, added up, otherwise.
///
/// # Errors
/// [`HoursError::TooMany`] and [`HoursError::Store`].
pub(crate) fn site_hours(
    source: &mut (impl HourSource + ?Sized),
    query: &HoursQuery,
) -> Result<Vec<SiteHour>, HoursError> {
    let roles = Roles::find(source, query)?;
    let ids: Vec<SeriesId> = roles.all().collect();
    let length = (ROWS / ids.len().max(1)).max(1);
    let mut hours = Vec::new();
    for stretch in &query.within {
        for chunk in chunks(stretch, length) {
            let rows = if ids.is_empty() { Vec::new() } else { source.hours(&ids, chunk.clone())? };
            let table: Table = rows.into_iter().map(|(id, hour, figures)| ((id, hour), figures)).collect();
            hours.extend(begins(&chunk).map(|begin| roles.hour(begin, &table)));
        }
    }
    Ok(hours)
}

fn begins(stretch: &Range<Micros>) -> impl Iterator<Item = Micros> + use<> {
    let end = stretch.end;
    std::iter::successors(Some(stretch.start), |begin| Some(begin + HOUR)).take_while(move |begin| *begin < end)
}

/// Divides a stretch into parts of so many hours.
fn chunks(stretch: &Range<Micros>, hours: usize) -> impl Iterator<Item = Range<Micros>> + use<> {
    let (start, end) = (stretch.start, stretch.end);
    let length = i64::try_from(hours).unwrap_or(1) * HOUR;
    let next = move |begin: &Micros| Some(begin + length);
    std::iter::successors(Some(start), next)
        .take_while(move |begin| *begin < end)
        .map(move |begin| begin..end.min(begin + length))
}

/// The series of a site, by what they measure.
struct Roles {
    it: Vec<SeriesId>,
    hvac: Vec<SeriesId>,
    facility: Vec<SeriesId>,
    inlet: Vec<SeriesId>,
    temperature: Vec<SeriesId>,
    humidity: Vec<SeriesId>,
    pressure: Vec<SeriesId>,
    price: Vec<SeriesId>,
}

impl Roles {
    fn find(source: &mut (impl HourSource + ?Sized), query: &HoursQuery) -> Result<Self, HoursError> {
        let HoursQuery { site_id, weather_device, price, within } = query;
        let mut list = |filter: SeriesFilter| -> Result<Vec<SeriesRow>, HoursError> {
            let mut rows = source.series(&filter, MAX_HOUR_SERIES + 1)?;
            if rows.len() as u64 > u64::from(MAX_HOUR_SERIES) {
                return Err(HoursError::TooMany);
            }
            let lives = |row: &SeriesRow, stretch: &Range<Micros>| {
                row.first_at < stretch.end && row.last_at + LONGEST_SPAN > stretch.start
            };
            rows.retain(|row| within.iter().any(|stretch| lives(row, stretch)));
            Ok(rows)
        };
        let metrics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let sites = vec![site_id.clone()];
        let of_site =
            list(SeriesFilter { sites, metrics: metrics(&[IT, HVAC, FACILITY, INLET]), ..SeriesFilter::default() })?;
        let devices = vec![weather_device.clone()];
        let mut weather = list(SeriesFilter {
            devices,
            metrics: metrics(&[TEMPERATURE, HUMIDITY, PRESSURE]),
            ..SeriesFilter::default()
        })?;
        // Another site may have a device of the same name.
        let is_of_site = |row: &SeriesRow| row.key.source.site_id.as_ref().is_none_or(|site| site == site_id);
        weather.retain(is_of_site);
        let mut prices = match price {
            None => Vec::new(),
            Some(PriceSeries { metric, device_id }) => {
                let metrics = vec![metric.clone()];
                let filter = SeriesFilter { metrics, ..SeriesFilter::default() };
                match device_id {
                    Some(device) => list(SeriesFilter { devices: vec![device.clone()], ..filter })?,
                    None => list(SeriesFilter { sites: vec![site_id.clone()], ..filter })?,
                }
            }
        };
        let device = price.as_ref().and_then(|price| price.device_id.as_ref());
        prices.retain(|row| is_of_site(row) && row.key.source.device_id.as_ref() == device);
        Ok(Self {
            it: power(&of_site, IT),
            hvac: power(&of_site, HVAC),
            facility: power(&of_site, FACILITY),
            inlet: ids(of_metric(&of_site, INLET)),
            temperature: ids(of_metric(&weather, TEMPERATURE)),
            humidity: ids(of_metric(&weather, HUMIDITY)),
            pressure: ids(of_metric(&weather, PRESSURE)),
            price: ids(&prices),
        })
    }

    fn all(&self) -> impl Iterator<Item = SeriesId> {
        let Self { it, hvac, facility, inlet, temperature, humidity, pressure, price } = self;
        [it, hvac, facility, inlet, temperature, humidity, pressure, price].into_iter().flatten().copied()
    }

    fn hour(&self, begin: Micros, table: &Table) -> SiteHour {
        let sum = |series: &[SeriesId]| -> Option<f64> {
            let mut sum = None;
            for id in series {
                let whole = table.get(&(*id, begin)).filter(|figures| figures.covered == HOUR)?;
                *sum.get_or_insert(0.0) += whole.integral;
            }
            sum
        };
        // The integral over an hour is the mean.
        let mean =
            |series: &[SeriesId]| sum(series).map(|sum| sum / f64::from(u32::try_from(series.len()).unwrap_or(1)));
        SiteHour {
            begin,
            it_kwh: sum(&self.it),
            hvac_kwh: sum(&self.hvac),
            facility_kwh: sum(&self.facility),
            temperature_celsius: mean(&self.temperature),
            humidity_percent: mean(&self.humidity),
            pressure_hpa: mean(&self.pressure),
            inlet_celsius: mean(&self.inlet),
            price: mean(&self.price),
        }
    }
}

fn of_metric<'a>(rows: &'a [SeriesRow], metric: &'a str) -> impl Iterator<Item = &'a SeriesRow> {
    rows.iter().filter(move |row| row.key.metric == metric)
}

fn ids<'a>(rows: impl IntoIterator<Item = &'a SeriesRow>) -> Vec<SeriesId> {
    rows.into_iter().map(|row| row.id).collect()
}

/// Returns the site's own series of a power, or else those of its devices.
fn power(rows: &[SeriesRow], metric: &str) -> Vec<SeriesId> {
    let (own, others): (Vec<&SeriesRow>, Vec<&SeriesRow>) =
        of_metric(rows, metric).partition(|row| row.key.source.device_id.is_none());
    ids(if own.is_empty() { others } else { own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Memory, at, run, tenant};

    const BEGIN: &str = "2026-03-01T00:00:00Z";

    fn query(hours: i64) -> HoursQuery {
        let stretch = at(BEGIN)..at(BEGIN) + hours * HOUR;
        HoursQuery { site_id: "a".to_owned(), weather_device: "w".to_owned(), price: None, within: vec![stretch] }
    }

    /// Two meters of the IT load, a weather station, and an inlet sensor, every hour for so many hours.
    fn memory(hours: i64) -> Memory {
        let memory = Memory::default();
        for hour in 0..=hours {
            let when = at(BEGIN) + hour * HOUR;
            memory.read_device(Some("a"), "m1", when, &[(IT, 10.0), (HVAC, 3.0), (FACILITY, 14.0)]);
            memory.read_device(Some("a"), "m2", when, &[(IT, 5.0)]);
            memory.read_device(None, "w", when, &[(TEMPERATURE, 20.0), (HUMIDITY, 50.0), (PRESSURE, 1000.0)]);
            memory.read_device(Some("b"), "w", when, &[(TEMPERATURE, 99.0)]);
            memory.read_device(Some("a"), "rack", when, &[(INLET, 22.0)]);
        }
        memory
    }

    fn read(memory: &Memory, hours: i64) -> Vec<SiteHour> {
        run(async {
            let service = memory.service("2026-12-01T00:00:00Z").await;
            service.site_hours(&Principal::system(tenant()), query(hours)).await.unwrap().data
        })
    }

    #[test]
    fn adds_up_meters_and_takes_the_weather_from_its_device() {
        let hours = read(&memory(5), 5);
        let expected = SiteHour {
            begin: at(BEGIN) + 4 * HOUR,
            it_kwh: Some(15.0),
            hvac_kwh: Some(3.0),
            facility_kwh: Some(14.0),
            temperature_celsius: Some(20.0),
            humidity_percent: Some(50.0),
            pressure_hpa: Some(1000.0),
            inlet_celsius: Some(22.0),
            price: None,
        };
        assert_eq!((hours.len(), hours[4]), (5, expected));
    }

    #[test]
    fn a_price_is_that_of_its_device_or_of_the_site() {
        let memory = memory(3);
        for hour in 0..=3 {
            let when = at(BEGIN) + hour * HOUR;
            let price = f64::from(i32::try_from(hour).unwrap());
            memory.read_device(Some("a"), "m1", when, &[("spot_price", 0.1 * price)]);
            memory.read_device(Some("a"), "m2", when, &[("spot_price", 7.0)]);
            memory.read_device(Some("b"), "m1", when, &[("spot_price", 8.0)]);
            memory.read_site("a", when..when + HOUR, r#""energy_price_usd_per_kwh":0.25"#);
        }
        let prices = |metric: &str, device: Option<&str>| -> Vec<Option<f64>> {
            let price = PriceSeries { metric: metric.to_owned(), device_id: device.map(str::to_owned) };
            let query = HoursQuery { price: Some(price), ..query(3) };
            let hours = run(async {
                let service = memory.service("2026-12-01T00:00:00Z").await;
                service.site_hours(&Principal::system(tenant()), query).await.unwrap().data
            });
            hours.iter().map(|hour| hour.price).collect()
        };
        let of_device = prices("spot_price", Some("m1"));
        assert_eq!(of_device.len(), 3);
        assert!((of_device[2].unwrap() - of_device[1].unwrap() - 0.1).abs() < 1e-9, "{of_device:?}");
        assert_eq!(prices("energy_price_usd_per_kwh", None), [Some(0.25); 3]);
        assert_eq!(prices("spot_price", None), [None; 3], "a device's price is not the site's");
        assert_eq!(prices("spot_price", Some("m9")), [None; 3]);
    }

    #[test]
    fn an_hour_that_one_meter_does_not_cover_has_no_energy() {
        let memory = memory(5);
        // A third meter begins in the middle of the third hour.
        for minute in [150, 240, 300] {
            memory.read_device(Some("a"), "m3", at(BEGIN) + minute * HOUR / 60, &[(IT, 1.0)]);
        }
        let energies: Vec<Option<f64>> = read(&memory, 5).iter().map(|hour| hour.it_kwh).collect();
        assert_eq!(energies, [None, None, None, Some(16.0), Some(16.0)]);
        // Nothing is known of the hour after the last value, nor of a site without series.
        assert_eq!(read(&memory, 6)[5].hvac_kwh, None);
        assert_eq!(read(&Memory::default(), 1), [SiteHour { begin: at(BEGIN), ..SiteHour::default() }]);
    }

    #[test]
    fn stretches_are_divided_into_chunks_without_a_gap() {
        let stretch = 0..10 * HOUR;
        let parts: Vec<_> = chunks(&stretch, 4).collect();
        assert_eq!(parts, [0..4 * HOUR, 4 * HOUR..8 * HOUR, 8 * HOUR..10 * HOUR]);
        assert_eq!(begins(&parts[2]).collect::<Vec<_>>(), [8 * HOUR, 9 * HOUR]);
    }
}

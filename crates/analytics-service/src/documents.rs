//! The hours of a site from documents alone: without a projection and without a database.

use std::collections::BTreeMap;
use std::ops::Range;

use mass_domain::analytics::{
    Figures, HOUR, Micros, Point, Reading, SeriesId, SeriesKey, floor, fold_hours, interval_at, kind_of, reading, valid,
};
use mass_domain::contracts::ContractId;
use mass_domain::json;
use mass_domain::port::PortError;

use crate::hours::{HourSource, HoursError, HoursQuery, METRICS, SiteHour, site_hours};
use crate::store::{SeriesFilter, SeriesRow, Unreadable};

/// The end of a stretch that has none.
const NEVER: Micros = floor(Micros::MAX, HOUR);

/// The current documents of a site, as far as its hours follow from them.
#[derive(Debug)]
pub struct SiteDocuments {
    query: HoursQuery,
    points: BTreeMap<SeriesKey, Vec<Point>>,
}

impl SiteDocuments {
    /// Begins with no document.
    #[must_use]
    pub const fn new(query: HoursQuery) -> Self {
        Self { query, points: BTreeMap::new() }
    }

    /// Adds a current document, by the sequence of its acceptance. The order of documents does not matter.
    ///
    /// # Errors
    /// [`Unreadable`], by the sequence.
    pub fn add(&mut self, accepted: i64, contract: ContractId, document: &str) -> Result<(), Unreadable> {
        let unreadable = |reason: String| Unreadable { sequence: accepted, reason };
        let value = json::parse(document.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
        let reading = reading(contract, &value).map_err(|error| unreadable(error.to_string()))?;
        if let Some(reading) = reading.filter(|reading| self.concerns(reading)) {
            let Reading { source, at, span, values, .. } = reading;
            let price = self.query.price.as_ref().map(|price| price.metric.clone());
            let counts = |metric: &String| METRICS.contains(&metric.as_str()) || price.as_ref() == Some(metric);
            for (metric, value) in values.into_iter().filter(|(metric, _)| counts(metric)) {
                let key = SeriesKey { source: source.clone(), metric };
                self.points.entry(key).or_default().push(Point { at, sequence: accepted, value, span });
            }
        }
        Ok(())
    }

    fn concerns(&self, reading: &Reading) -> bool {
        let HoursQuery { site_id, weather_device, price, .. } = &self.query;
        let device = reading.source.device_id.as_ref();
        let prices = price.as_ref().and_then(|price| price.device_id.as_ref());
        reading.source.site_id.as_ref() == Some(site_id)
            || device.is_some_and(|device| device == weather_device || Some(device) == prices)
    }

    /// Computes the hours: those that a projection of the same documents has, to the bit.
    ///
    /// # Errors
    /// [`HoursError::TooMany`].
    pub fn hours(self) -> Result<Vec<SiteHour>, HoursError> {
        let computed = self.points.into_iter().filter_map(|(key, points)| compute(key, points));
        let mut computed = Computed(computed.collect());
        site_hours(&mut computed, &self.query)
    }
}

/// A series with the figures of its hours.
struct Series {
    row: SeriesRow,
    hours: BTreeMap<Micros, Figures>,
}

/// Computes a series from all of its points.
fn compute(key: SeriesKey, mut points: Vec<Point>) -> Option<Series> {
    points.sort_by_key(|point| (point.at, point.sequence));
    let kind = kind_of(&key.metric);
    let of_times = valid(&points);
    let (first, last) = (of_times.first()?, of_times.last()?);
    let hours = fold_hours(&key.metric, kind, &points, &(floor(first.at, HOUR)..NEVER)).into_iter().collect();
    let (first_at, last_at, last_value) = (first.at, last.at, last.value);
    let interval = interval_at(&of_times, of_times.len() - 1);
    Some(Series { row: SeriesRow { id: key.id(), key, kind, first_at, last_at, last_value, interval }, hours })
}

/// The series of a site in the order of their keys.
struct Computed(Vec<Series>);

impl HourSource for Computed {
    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError> {
        let rows = self.0.iter().map(|series| &series.row).filter(|row| filter.admits(&row.key));
        Ok(rows.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    fn hours(
        &mut self,
        series: &[SeriesId],
        within: Range<Micros>,
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError> {
        let wanted = self.0.iter().filter(|one| series.contains(&one.row.id));
        let hours = wanted.flat_map(|one| one.hours.range(within.clone()).map(|(hour, it)| (one.row.id, *hour, *it)));
        Ok(hours.collect())
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::access::Principal;
    use mass_domain::savings::PriceSeries;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::{Event, Memory, at, run, tenant};

    const BEGIN: &str = "2026-03-01T00:00:00Z";
    const DAYS: i64 = 3;
    const PRICE: &str = "spot_price";

    fn query() -> HoursQuery {
        let stretch = at(BEGIN)..at(BEGIN) + DAYS * 24 * HOUR;
        let price = PriceSeries { metric: PRICE.to_owned(), device_id: Some("p".to_owned()) };
        let (site_id, weather_device) = ("a".to_owned(), "w".to_owned());
        HoursQuery { site_id, weather_device, price: Some(price), within: vec![stretch] }
    }

    /// Returns the hours of a memory's current documents, and those of its projection.
    fn both(memory: &Memory) -> (Vec<SiteHour>, Vec<SiteHour>) {
        let (current, documents) = {
            let state = memory.0.lock().unwrap();
            let mut current = std::collections::BTreeSet::new();
            for event in &state.log {
                match event {
                    Event::Added(accepted) => drop(current.insert(*accepted)),
                    Event::Removed(accepted) => drop(current.remove(accepted)),
                    Event::Other | Event::Unknown => {}
                }
            }
            (current, state.documents.clone())
        };
        let mut of_site = SiteDocuments::new(query());
        // Another order than that of their acceptance.
        for accepted in current.into_iter().rev() {
            let document = &documents[&accepted];
            of_site.add(accepted, document.contract, &document.text).unwrap();
        }
        let projected = run(async {
            let service = memory.service("2026-12-01T00:00:00Z").await;
            service.site_hours(&Principal::system(tenant()), query()).await.unwrap().data
        });
        (of_site.hours().unwrap(), projected)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn hours_of_documents_are_those_of_a_projection_to_the_bit(
            readings in prop::collection::vec((0..6_usize, 0..DAYS * 96, 0..8_usize, -50.0..90.0_f64), 1..120),
            corrected in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let memory = Memory::default();
            for (source, quarter, metric, value) in readings {
                let sources =
                    [(Some("a"), "m-1"), (Some("a"), "m-2"), (None, "w"), (Some("b"), "w"), (None, "p"), (Some("b"), "p")];
                let (site, id) = sources[source];
                let when = at(BEGIN) + quarter * HOUR / 4;
                let metric = METRICS.get(metric).copied().unwrap_or(PRICE);
                memory.read_device(site, id, when, &[(metric, value)]);
                if quarter % 7 == 0 {
                    let energy = format!(r#""it_load_kw":{value},"facility_power_kw":{value}"#);
                    memory.read_site("a", when..when + HOUR, &energy);
                }
            }
            let size = memory.0.lock().unwrap().log.len();
            for index in corrected {
                let accepted = i64::try_from(index.index(size)).unwrap() + 1;
                if !memory.0.lock().unwrap().log.contains(&Event::Removed(accepted)) {
                    memory.append(Event::Removed(accepted));
                }
            }
            let (of_documents, projected) = both(&memory);
            prop_assert_eq!(of_documents, projected);
        }
    }

    #[test]
    fn a_document_that_cannot_be_read_is_named_by_its_event() {
        let mut documents = SiteDocuments::new(query());
        let error = documents.add(7, mass_domain::contracts::DEVICE_1_1, "{}").unwrap_err();
        assert_eq!((error.sequence, error.reason.is_empty()), (7, false));
    }
}

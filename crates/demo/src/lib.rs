//! A simulated pilot: what its sites would have sent, hour by hour, under every contract.
//!
//! Pure, and a function of a seed and an hour alone: the same seed gives the same documents. The program loads them
//! (`mass demo`); this crate knows nothing of how they are stored.

mod noise;
mod pilot_site;
mod reporting_site;
mod timeline;

use serde_json::Value;

pub use pilot_site::{REFUSED, SITE, WEATHER_DEVICE};
pub use reporting_site::REPORTING_SITE;
pub use timeline::{PAIRS, SITE_ZONE, SITE_ZONE_SECONDS, Timeline};

/// A document, and whether it is a question to the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its JSON.
    pub json: Value,
    /// True if a recommendation is asked for.
    pub asks_engine: bool,
}

impl Document {
    const fn of(json: Value) -> Self {
        Self { json, asks_engine: false }
    }
}

/// The simulated sites.
#[derive(Debug, Clone)]
pub struct Simulation {
    seed: u64,
    tenant: String,
    timeline: Timeline,
}

impl Simulation {
    /// Simulates a pilot on this timeline, in this tenant.
    #[must_use]
    pub fn new(seed: u64, tenant: &str, timeline: Timeline) -> Self {
        Self { seed, tenant: tenant.to_owned(), timeline }
    }

    /// Returns the documents of an hour, counted from 1970-01-01T00:00:00Z. `is_on` tells whether the retrofit of the
    /// pilot runs in it.
    #[must_use]
    pub fn documents(&self, hour: i64, is_on: bool) -> Vec<Document> {
        let mut documents = pilot_site::documents(self.seed, &self.timeline, hour, is_on);
        documents.extend(reporting_site::documents(self.seed, &self.tenant, &self.timeline, hour));
        documents
    }
}

/// Writes the begin of an hour as RFC 3339.
fn instant(hour: i64) -> String {
    let at = chrono::DateTime::from_timestamp(hour * 3600, 0).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Rounds as a meter does that shows this many decimals.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

/// Converts an hour for a formula.
fn real(hour: i64) -> f64 {
    // Hours of this era are far below 2³¹.
    i32::try_from(hour).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use mass_domain::contracts::{self, ValidationContext};
    use mass_domain::json;
    use mass_domain::time::Timestamp;

    use super::*;

    const END: i64 = 490_000;

    fn simulation(seed: u64) -> Simulation {
        Simulation::new(seed, "default", Timeline::ending(END))
    }

    fn all(simulation: &Simulation) -> Vec<Document> {
        let timeline = Timeline::ending(END);
        (timeline.begin..=END).flat_map(|hour| simulation.documents(hour, hour % 48 < 24)).collect()
    }

    /// Returns whether a document is valid, and its contract.
    fn judged(text: &str) -> (bool, Option<String>) {
        let document = json::parse(text.as_bytes()).unwrap();
        let now = Timestamp::from_unix_micros(END * 3_600_000_000).unwrap();
        let context = ValidationContext { now, body_bytes: text.len() };
        match contracts::validate(&document, &context) {
            Ok(valid) => (true, Some(valid.contract.to_string())),
            Err(invalid) => (false, invalid.contract.map(|contract| contract.to_string())),
        }
    }

    #[test]
    fn every_document_is_valid_and_every_contract_occurs() {
        let mut contracts: Vec<String> = all(&simulation(1))
            .iter()
            .filter_map(|document| {
                let (is_valid, contract) = judged(&document.json.to_string());
                assert!(is_valid, "{}", document.json);
                contract
            })
            .collect();
        contracts.sort();
        contracts.dedup();
        assert_eq!(contracts, ["device/1.1", "device/2.0", "enterprise/1.1", "simple/1.0"]);
    }

    #[test]
    fn every_record_that_is_to_be_refused_is_refused() {
        for refused in REFUSED {
            assert!(!judged(&refused(END).to_string()).0, "{}", refused(END));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_documents_and_another_seed_others() {
        assert_eq!(all(&simulation(1)), all(&simulation(1)));
        assert_ne!(all(&simulation(1)), all(&simulation(2)));
    }

    #[test]
    fn the_retrofit_lowers_the_cooling_power_and_nothing_else_of_the_plant() {
        let power = |is_on, metric: &str| -> f64 {
            let documents = simulation(1).documents(END - 100, is_on);
            let plant = documents.iter().find(|it| it.json["device"]["id"] == "plant-1").unwrap();
            plant.json["metrics"][metric].as_f64().unwrap()
        };
        assert!(power(true, "hvac_power_kw") < 0.95 * power(false, "hvac_power_kw"));
        assert!((power(true, "it_power_kw") - power(false, "it_power_kw")).abs() < f64::EPSILON);
    }
}

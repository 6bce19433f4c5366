//! Pilots of formulas: weather, IT load, and a plant whose energy is a smooth function of both.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use crate::analytics::send;
use crate::support::client::Client;

const HOURS: i64 = 12 * 168;

/// The first hour of the reporting period.
const RETROFIT: i64 = 8 * 168;

/// A pilot of twelve weeks, the retrofit of which saves 10 % of the energy of the HVAC.
pub(super) struct Pilot {
    site: &'static str,
    /// The relative size of a state of the plant that no meter shows.
    hidden: f64,
    /// The days with the retrofit on or off; empty if it comes after eight weeks.
    days: Vec<(String, bool)>,
}

impl Pilot {
    /// A plant without any hidden state.
    pub(super) const fn steady() -> Self {
        Self { site: "steady", hidden: 0.0, days: Vec::new() }
    }

    /// A plant that is moved by what no meter shows.
    pub(super) const fn hidden() -> Self {
        Self { site: "hidden", hidden: 0.3, days: Vec::new() }
    }

    /// A plant whose retrofit is on on some days.
    pub(super) const fn crossover(days: Vec<(String, bool)>) -> Self {
        Self { site: "steady", hidden: 0.0, days }
    }

    /// Sends the readings.
    pub(super) async fn send(&self, client: &Client) {
        for chunk in self.readings().chunks(500) {
            send(client, chunk).await;
        }
    }

    /// A reading for each hour, and one for the end of the last.
    pub(super) fn readings(&self) -> Vec<Value> {
        let mut random = Random(1);
        let (mut weather, mut load, mut state) = (0.0, 0.0, 1.0);
        let mut readings = Vec::new();
        for hour in 0..=HOURS {
            weather = 0.95 * weather + random.symmetric();
            load = 0.9 * load + random.symmetric();
            if random.symmetric() > 0.95 {
                state = -state;
            }
            readings.push(self.reading(hour, weather, load, state));
        }
        readings
    }

    fn reading(&self, hour: i64, weather: f64, load: f64, state: f64) -> Value {
        let begin: chrono::DateTime<chrono::Utc> = super::BEGIN.parse().unwrap();
        let time = (begin + chrono::TimeDelta::hours(hour)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let daily = (f64::from(i32::try_from(hour % 24).unwrap()) * TAU / 24.0 - 2.0).sin();
        let temperature = 15.0 + 4.0 * daily + weather;
        let it = 80.0 + 6.0 * daily + load;
        let above = (temperature - 12.0).max(0.0);
        let saved = if self.is_on(hour, &time) { 0.1 } else { 0.0 };
        let hvac = it * (0.12 + 0.004 * above + 0.000_05 * above * above) * (1.0 + self.hidden * state) * (1.0 - saved);
        json!({
            "mass_version": "2.0",
            "timestamp": time,
            "device": {"id": format!("{}-plant", self.site), "type": "meter", "location": "Hall 2", "site_id": self.site},
            "metrics": {
                "it_power_kw": it, "hvac_power_kw": hvac, "facility_power_kw": 1.1 * it + hvac,
                "temperature_celsius": temperature, "humidity_percent": 60.0 - 15.0 * daily, "pressure_hpa": 1010.0,
                "inlet_temperature_celsius": 22.0,
                "spot_price": if (12..18).contains(&(hour % 24)) { 0.3 } else { 0.1 },
            },
        })
    }

    fn is_on(&self, hour: i64, time: &str) -> bool {
        if self.days.is_empty() {
            return hour >= RETROFIT;
        }
        self.days.iter().any(|(day, on)| *on && time.starts_with(day))
    }
}

/// A linear congruential generator (D. Knuth's MMIX).
struct Random(u64);

impl Random {
    /// Draws a number between −1 and 1.
    fn symmetric(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

//! Documents of each contract, no two alike.

use chrono::{DateTime, Days, SecondsFormat, TimeDelta, Utc};
use clap::ValueEnum;
use serde_json::json;

/// How many bytes a single document has.
const SINGLE_BYTES: usize = 1300;

/// What stands in a template where a document's own number belongs.
const SLOT: &str = "@@@@@@@@@@@@@@@@";

/// Over how many devices the readings of a batch are spread.
const DEVICES: u64 = 1000;

/// The contract of the documents to send.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Contract {
    /// `simple/1.0`
    Simple,
    /// `device/1.1`
    Device,
    /// `enterprise/1.1`
    Enterprise,
}

/// A document with places for a number, which are filled in without writing the rest anew.
pub(crate) struct Template {
    text: Vec<u8>,
    slots: Vec<usize>,
}

impl Template {
    /// A template of 1,300 bytes, or of as many as the contract's smallest document has.
    pub(crate) fn new(contract: Contract) -> Self {
        let bare = document(contract, "").len();
        let text = document(contract, &"n".repeat(SINGLE_BYTES.saturating_sub(bare)));
        let slots = text.match_indices(SLOT).map(|(at, _)| at).collect();
        Self { text: text.into_bytes(), slots }
    }

    /// The text, with the places not filled in.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Fills a number in, where the text begins at `start` of the buffer.
    pub(crate) fn fill(&self, buffer: &mut [u8], start: usize, number: u64) {
        let mut digits = [0; SLOT.len()];
        for (index, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[usize::try_from(number >> (4 * index) & 15).unwrap_or(0)];
        }
        for slot in &self.slots {
            if let Some(place) = buffer.get_mut(start + slot..start + slot + digits.len()) {
                place.copy_from_slice(&digits);
            }
        }
    }
}

/// A document with a note that brings it to the size that is wanted.
fn document(contract: Contract, note: &str) -> String {
    let now = Utc::now();
    match contract {
        Contract::Simple => json!({"payload": {
            "reading": format!("r-{SLOT}"),
            "site": {"name": "tampa-1", "hall": "2", "zipCode": "33602"},
            "inletTemperatures": [21.5, 22.1, "22.75", 23, 21.875, 22.4, 24.0625, 20.9],
            "outletTemperatures": [31.5, 32.1, "32.75", 33, 31.875, 32.4, 34.0625, 30.9],
            "fans": [{"rack": "r-1", "rpm": 4200, "ok": true}, {"rack": "r-2", "rpm": "4150", "ok": "true"}],
            "energy": {"itLoadKw": 812.4, "facilityPowerKw": 1102.7, "upsEfficiencyPct": 96.1},
            "note": note,
        }})
        .to_string(),
        Contract::Device => device(&format!("rack-{SLOT}"), now, note),
        Contract::Enterprise => enterprise(now, note),
    }
}

fn device(id: &str, at: DateTime<Utc>, notes: &str) -> String {
    json!({
        "mass_version": "1.1",
        "timestamp": rfc3339(at),
        "device": {"id": id, "type": "rack-sensor", "location": "Hall 2, row 7"},
        "metrics": {"temperature_celsius": 22.5, "humidity_percent": 45.25, "pressure_hpa": 1013.2},
        "metadata": {"operator": "ana", "batch_id": "b-1", "notes": notes},
    })
    .to_string()
}

fn enterprise(now: DateTime<Utc>, note: &str) -> String {
    json!({
        "schema_version": "1.1",
        "correlation_id": format!("corr-{SLOT}"),
        "trace": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        "request": {
            "request_id": format!("req-{SLOT}"),
            "idempotency_key": format!("key-{SLOT}"),
            "tenant_id": "default",
            "environment": "prod",
            "mode": "shadow",
            "timestamp_utc": rfc3339(now),
            "time_window": {
                "start_utc": rfc3339(now - TimeDelta::hours(1)),
                "end_utc": rfc3339(now),
                "granularity_seconds": 300,
            },
            "timeout_ms": 5000,
            "service_level_objective_ms": 2000,
            "assets": {"site_id": "tampa-1", "hall_id": "hall-2"},
            "data_contract": {"units": "metric", "currency": "USD", "data_classification": "INTERNAL"},
            "signals": {
                "energy": {"it_load_kw": 800, "facility_power_kw": 1120, "energy_price_usd_per_kwh": 0.11},
                "thermal": {"pue_current": 1.4, "pue_target": 1.3, "cooling_cop": 4.2},
                "cooling": {"chilled_water_temp_c": 7.5, "cooling_setpoint_c": 22},
                "workload": {
                    "active_users": 1200,
                    "tokens_per_watt_est": 3.25,
                    "job_mix": {"llm_pct": 60, "vision_pct": 25, "other_pct": 15},
                },
            },
            "constraints": {"hard": {"no_control_actions": true}},
        },
        "payload": {"note": note},
    })
    .to_string()
}

/// Readings of a thousand devices, one a second of each, as a batch carries them.
pub(crate) struct Readings {
    seed: u32,
    begin: DateTime<Utc>,
    notes: String,
    next: u64,
}

impl Readings {
    /// Readings whose devices are those of the seed, each with notes of so many characters.
    pub(crate) fn new(seed: u32, notes: usize) -> Self {
        // Long enough ago for what a run sends, and not so long that every reading gets a warning.
        let begin = Utc::now() - Days::new(300);
        Self { seed, begin, notes: "n".repeat(notes), next: 0 }
    }

    /// The next reading, on a line of its own.
    pub(crate) fn next_line(&mut self) -> String {
        let (number, device_number) = (self.next, self.next % DEVICES);
        self.next += 1;
        let at = self.begin + TimeDelta::seconds(i64::try_from(number / DEVICES).unwrap_or(0));
        let mut line = device(&format!("rack-{:08x}-{device_number:03}", self.seed), at, &self.notes);
        line.push('\n');
        line
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_everywhere_and_keeps_its_size() {
        for contract in [Contract::Simple, Contract::Device, Contract::Enterprise] {
            let template = Template::new(contract);
            let mut buffer = b"head".to_vec();
            buffer.extend(template.text());
            template.fill(&mut buffer, 4, 0x0123_4567_89ab_cdef);
            let text = String::from_utf8(buffer).unwrap();
            assert!(text.contains("-0123456789abcdef") && !text.contains('@'), "{text}");
            assert!((SINGLE_BYTES + 4..SINGLE_BYTES + 300).contains(&text.len()), "{}", text.len());
        }
    }

    #[test]
    fn no_two_readings_are_of_one_device_and_instant() {
        let mut readings = Readings::new(7, 10);
        let lines: std::collections::BTreeSet<_> = (0..2500).map(|_| readings.next_line()).collect();
        assert_eq!(lines.len(), 2500);
    }
}

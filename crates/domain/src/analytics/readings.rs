//! The values that a document has of its source at one time.

use super::figures::finite;
use super::keys::Source;
use super::signals::{COST_RATE, ENERGY_PRICE, FACILITY_POWER, SIGNALS};
use super::{Micros, fold};
use crate::contracts::ContractId;
use crate::json::Value;
use crate::time::DocumentTime;

/// The values of a source at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The source.
    pub source: Source,
    /// The type of the device.
    pub device_type: Option<String>,
    /// The location of the device.
    pub location: Option<String>,
    /// The time of the reading, or the start of its window.
    pub at: Micros,
    /// The length of the window for which the values hold; `None` if they hold until the next reading.
    pub span: Option<Micros>,
    /// The values by metric. None is infinite or not a number.
    pub values: Vec<(String, f64)>,
}

/// A stored document lacks what its contract requires, or its contract is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDocument {
    /// A required value is missing or has another type.
    #[error("the document has no readable {0}")]
    Value(&'static str),
    /// A newer program accepted it.
    #[error("the contract {0} is not known to this program")]
    Contract(ContractId),
}

/// Tells whether documents of a contract may have readings.
#[must_use]
pub fn has_readings(contract: ContractId) -> bool {
    contract.name() != "simple"
}

/// Reads a stored document: device readings, and the signals of a site. Other contracts have no values: `None`.
///
/// # Errors
/// [`UnreadableDocument`], which no document has that was accepted under a known contract.
pub fn reading(contract: ContractId, document: &Value) -> Result<Option<Reading>, UnreadableDocument> {
    match (contract.name(), contract.version()) {
        ("device", "1.1" | "2.0") => of_device(document).map(Some),
        ("enterprise", "1.1") => of_site(document).map(Some),
        _ if !has_readings(contract) => Ok(None),
        _ => Err(UnreadableDocument::Contract(contract)),
    }
}

fn of_device(document: &Value) -> Result<Reading, UnreadableDocument> {
    let device = |name: &str| text(document, &format!("/device/{name}"));
    let Some(Value::Object(metrics)) = document.get("metrics") else {
        return Err(UnreadableDocument::Value("metrics"));
    };
    let value = |(name, value): &(String, Value)| Some((name.clone(), number(Some(value))?));
    Ok(Reading {
        source: Source {
            site_id: device("site_id"),
            device_id: Some(device("id").ok_or(UnreadableDocument::Value("device id"))?),
        },
        device_type: device("type"),
        location: device("location"),
        at: time(document, "/timestamp").ok_or(UnreadableDocument::Value("time"))?,
        span: None,
        values: metrics.iter().filter_map(value).collect(),
    })
}

fn of_site(document: &Value) -> Result<Reading, UnreadableDocument> {
    let start = time(document, "/request/time_window/start_utc").ok_or(UnreadableDocument::Value("window"))?;
    let end = time(document, "/request/time_window/end_utc").ok_or(UnreadableDocument::Value("window"))?;
    let site_id = text(document, "/request/assets/site_id").ok_or(UnreadableDocument::Value("site"))?;
    let values = SIGNALS.iter().filter_map(|signal| {
        let value = number(document.pointer(signal.pointer?))?;
        Some((signal.name.to_owned(), value))
    });
    let mut values: Vec<(String, f64)> = values.collect();
    values.extend(cost_rate(&values));
    Ok(Reading {
        source: Source { site_id: Some(site_id), device_id: None },
        device_type: None,
        location: None,
        at: start,
        span: Some((end - start).clamp(0, fold::LONGEST_SPAN)),
        values,
    })
}

/// Returns the cost of the facility's energy, in USD an hour, if power and price are there.
fn cost_rate(values: &[(String, f64)]) -> Option<(String, f64)> {
    let value = |of: &str| values.iter().find(|(name, _)| name == of).map(|(_, value)| *value);
    Some((COST_RATE.to_owned(), finite(value(FACILITY_POWER)? * value(ENERGY_PRICE)?)))
}

fn text(document: &Value, pointer: &str) -> Option<String> {
    if let Some(Value::String(text)) = document.pointer(pointer) { Some(text.clone()) } else { None }
}

fn time(document: &Value, pointer: &str) -> Option<Micros> {
    let time: DocumentTime = text(document, pointer)?.parse().ok()?;
    Some(time.instant().unix_micros())
}

fn number(value: Option<&Value>) -> Option<f64> {
    // Not every database stores −0.
    if let Some(Value::Number(number)) = value { Some(number.value() + 0.0) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::{DEVICE_1_1, DEVICE_2_0, ENTERPRISE_1_1, SIMPLE_1_0};
    use crate::json;

    fn read(contract: ContractId, document: &str) -> Result<Option<Reading>, UnreadableDocument> {
        reading(contract, &json::parse(document.as_bytes()).unwrap())
    }

    fn name(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn a_device_tells_its_metrics_which_hold_until_the_next_reading() {
        let document = r#"{"device":{"id":"rack-1","location":"hall 2","site_id":"a","type":"rack"},
            "metrics":{"power_kw":1.5,"temperature_celsius":-0.0},"timestamp":"1970-01-01T00:00:01.5Z"}"#;
        for contract in [DEVICE_1_1, DEVICE_2_0] {
            let reading = read(contract, document).unwrap().unwrap();
            assert_eq!(reading.source, Source { site_id: name("a"), device_id: name("rack-1") });
            assert_eq!((reading.device_type, reading.location), (name("rack"), name("hall 2")));
            assert_eq!((reading.at, reading.span), (1_500_000, None));
            assert_eq!(reading.values, [("power_kw".to_owned(), 1.5), ("temperature_celsius".to_owned(), 0.0)]);
            assert!(reading.values[1].1.is_sign_positive());
        }
    }

    #[test]
    fn a_site_tells_its_signals_which_hold_for_the_window() {
        let document = r#"{"request":{"assets":{"site_id":"a"},
            "signals":{"energy":{"it_load_kw":4,"unknown":5},"thermal":{"pue_current":1.25}},
            "time_window":{"end_utc":"1970-01-01T00:15:00Z","start_utc":"1970-01-01T00:00:00Z"}}}"#;
        let reading = read(ENTERPRISE_1_1, document).unwrap().unwrap();
        assert_eq!(reading.source, Source { site_id: name("a"), device_id: None });
        assert_eq!((reading.at, reading.span), (0, Some(900_000_000)));
        assert_eq!(reading.values, [("it_power_kw".to_owned(), 4.0), ("pue".to_owned(), 1.25)]);
        let long = document.replace("1970-01-01T00:15:00Z", "1970-03-01T00:00:00Z");
        assert_eq!(read(ENTERPRISE_1_1, &long).unwrap().unwrap().span, Some(fold::LONGEST_SPAN));
        let backwards = document.replace("1970-01-01T00:15:00Z", "1969-03-01T00:00:00Z");
        assert_eq!(read(ENTERPRISE_1_1, &backwards).unwrap().unwrap().span, Some(0));
    }

    #[test]
    fn a_site_that_tells_power_and_price_has_a_cost() {
        let document = |energy: &str| {
            format!(
                r#"{{"request":{{"assets":{{"site_id":"a"}},"signals":{{"energy":{{{energy}}}}},
                "time_window":{{"end_utc":"1970-01-01T00:15:00Z","start_utc":"1970-01-01T00:00:00Z"}}}}}}"#
            )
        };
        let cost = |energy: &str| {
            let values = read(ENTERPRISE_1_1, &document(energy)).unwrap().unwrap().values;
            values.into_iter().find(|(name, _)| name == COST_RATE).map(|(_, value)| value)
        };
        assert_eq!(cost(r#""facility_power_kw":400,"energy_price_usd_per_kwh":0.25"#), Some(100.0));
        assert_eq!(cost(r#""facility_power_kw":1e308,"energy_price_usd_per_kwh":10"#), Some(f64::MAX));
        assert_eq!(cost(r#""facility_power_kw":400"#), None);
        assert_eq!(cost(r#""it_load_kw":400,"energy_price_usd_per_kwh":0.25"#), None);
    }

    #[test]
    fn a_document_without_what_its_contract_requires_is_unreadable() {
        assert_eq!(read(SIMPLE_1_0, "{}"), Ok(None));
        assert_eq!(read(DEVICE_1_1, "{}"), Err(UnreadableDocument::Value("metrics")));
        assert_eq!(read(DEVICE_1_1, r#"{"metrics":{}}"#), Err(UnreadableDocument::Value("device id")));
        let without_time = r#"{"device":{"id":"x"},"metrics":{}}"#;
        assert_eq!(read(DEVICE_2_0, without_time), Err(UnreadableDocument::Value("time")));
        assert_eq!(read(ENTERPRISE_1_1, "{}"), Err(UnreadableDocument::Value("window")));
    }
}

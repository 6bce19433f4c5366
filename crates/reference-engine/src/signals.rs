//! The signals that the engine reads from a document. MASS has validated the document, but the engine does not rely on
//! its caller and checks the values that it uses.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::limits::NAME_CHARACTERS;
use crate::request_error::RequestError;
use crate::rules::TemperatureRange;

/// The largest integer that JSON carries exactly (RFC 7493): the upper limit of powers.
const GREATEST: f64 = 9_007_199_254_740_991.0;

/// The signals of a document, by contract.
#[derive(Debug)]
pub(crate) enum Signals {
    /// `simple/1.0`: free-form data; also a reading without a temperature.
    Free,
    /// `device/1.1`, `device/2.0`: one reading.
    Device(DeviceReading),
    /// `enterprise/1.1`: a site.
    Enterprise(Box<Site>),
}

/// A reading of a device.
#[derive(Debug, PartialEq)]
pub(crate) struct DeviceReading {
    pub(crate) device: String,
    pub(crate) device_type: String,
    pub(crate) celsius: f64,
}

/// The signals of a site.
#[derive(Debug, PartialEq)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) it_load_kw: f64,
    pub(crate) facility_power_kw: f64,
    pub(crate) usd_per_kwh: f64,
    /// A fraction, not a percentage.
    pub(crate) ups_efficiency: Option<f64>,
    pub(crate) pue_sent: f64,
    pub(crate) pue_target: f64,
    pub(crate) cop: f64,
    pub(crate) hotspots: Option<f64>,
    pub(crate) chilled_water: f64,
    pub(crate) setpoint: f64,
    pub(crate) constraints: Constraints,
}

/// The hard constraints that the engine evaluates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Constraints {
    /// `min_cooling_setpoint_c`, `max_cooling_setpoint_c`.
    pub(crate) setpoint: TemperatureRange,
    /// `min_chilled_water_temp_c`, `max_chilled_water_temp_c`.
    pub(crate) chilled_water: TemperatureRange,
    /// `max_setpoint_step_c`.
    pub(crate) largest_step: f64,
    /// True if one of these is not a number, so that it cannot be kept.
    pub(crate) unreadable: bool,
    /// True if there are other constraints, which the engine does not evaluate.
    pub(crate) unknown: bool,
}

impl Signals {
    /// Reads the signals of a document.
    ///
    /// # Errors
    /// [`RequestError::Unworkable`] if the contract is unknown, or if the document does not conform to it.
    pub(crate) fn read(contract: &str, document: Map<String, Value>) -> Result<Self, RequestError> {
        match contract {
            "simple/1.0" => Ok(Self::Free),
            "device/1.1" => reading(shaped(document)?).map(Self::Device),
            "device/2.0" => any_reading(shaped(document)?),
            "enterprise/1.1" => site(shaped(document)?).map(|site| Self::Enterprise(Box::new(site))),
            _ => Err(unworkable("contract: expected simple/1.0, device/1.1, device/2.0 or enterprise/1.1")),
        }
    }
}

#[derive(Deserialize)]
struct DeviceDocument {
    device: Device,
    metrics: Metrics,
}

#[derive(Deserialize)]
struct Device {
    id: String,
    #[serde(rename = "type")]
    device_type: String,
}

#[derive(Deserialize)]
struct Metrics {
    temperature_celsius: f64,
}

/// A reading under `device/2.0`, which may have any metrics.
#[derive(Deserialize)]
struct AnyDeviceDocument {
    device: AnyDevice,
    metrics: AnyMetrics,
}

#[derive(Deserialize)]
struct AnyDevice {
    id: String,
    #[serde(rename = "type", default)]
    device_type: String,
}

#[derive(Deserialize)]
struct AnyMetrics {
    temperature_celsius: Option<f64>,
}

#[derive(Deserialize)]
struct EnterpriseDocument {
    request: EnterpriseRequest,
}

#[derive(Deserialize)]
struct EnterpriseRequest {
    assets: Assets,
    signals: EnterpriseSignals,
    constraints: ConstraintGroups,
}

#[derive(Deserialize)]
struct Assets {
    site_id: String,
}

#[derive(Deserialize)]
struct EnterpriseSignals {
    energy: Energy,
    thermal: Thermal,
    cooling: Cooling,
}

#[derive(Deserialize)]
struct Energy {
    it_load_kw: f64,
    facility_power_kw: f64,
    energy_price_usd_per_kwh: f64,
    ups_efficiency_pct: Option<f64>,
}

#[derive(Deserialize)]
struct Thermal {
    pue_current: f64,
    pue_target: f64,
    cooling_cop: f64,
    hotspot_rack_count: Option<f64>,
}

#[derive(Deserialize)]
struct Cooling {
    chilled_water_temp_c: f64,
    cooling_setpoint_c: f64,
}

#[derive(Deserialize)]
struct ConstraintGroups {
    hard: Map<String, Value>,
}

fn reading(document: DeviceDocument) -> Result<DeviceReading, RequestError> {
    let DeviceDocument { device: Device { id, device_type }, metrics: Metrics { temperature_celsius } } = document;
    Ok(DeviceReading {
        device: name("device.id", id)?,
        device_type,
        celsius: within("metrics.temperature_celsius", temperature_celsius, -60.0..=150.0)?,
    })
}

fn any_reading(document: AnyDeviceDocument) -> Result<Signals, RequestError> {
    let AnyDeviceDocument { device: AnyDevice { id, device_type }, metrics: AnyMetrics { temperature_celsius } } =
        document;
    let device = name("device.id", id)?;
    let Some(celsius) = temperature_celsius else { return Ok(Signals::Free) };
    let celsius = within("metrics.temperature_celsius", celsius, -100.0..=200.0)?;
    Ok(Signals::Device(DeviceReading { device, device_type, celsius }))
}

fn site(document: EnterpriseDocument) -> Result<Site, RequestError> {
    let EnterpriseRequest { assets, signals, constraints } = document.request;
    let EnterpriseSignals { energy, thermal, cooling } = signals;
    if constraints.hard.get("no_control_actions") != Some(&Value::Bool(true)) {
        return Err(unworkable("constraints.hard.no_control_actions: expected true in shadow mode"));
    }
    let it_load_kw = within("it_load_kw", energy.it_load_kw, 0.0..=GREATEST)?;
    let percent = energy.ups_efficiency_pct.map(|percent| within("ups_efficiency_pct", percent, 0.0..=100.0));
    let hotspots = thermal.hotspot_rack_count.map(|count| within("hotspot_rack_count", count, 0.0..=GREATEST));
    Ok(Site {
        name: name("assets.site_id", assets.site_id)?,
        it_load_kw,
        facility_power_kw: within("facility_power_kw", energy.facility_power_kw, it_load_kw..=GREATEST)?,
        usd_per_kwh: within("energy_price_usd_per_kwh", energy.energy_price_usd_per_kwh, 0.0..=10.0)?,
        ups_efficiency: percent.transpose()?.map(|percent| percent / 100.0),
        pue_sent: within("pue_current", thermal.pue_current, 1.0..=5.0)?,
        pue_target: within("pue_target", thermal.pue_target, 1.0..=5.0)?,
        cop: within("cooling_cop", thermal.cooling_cop, f64::MIN_POSITIVE..=30.0)?,
        hotspots: hotspots.transpose()?,
        chilled_water: within("chilled_water_temp_c", cooling.chilled_water_temp_c, -10.0..=60.0)?,
        setpoint: within("cooling_setpoint_c", cooling.cooling_setpoint_c, -10.0..=60.0)?,
        constraints: Constraints::read(&constraints.hard),
    })
}

impl Constraints {
    const NONE: Self = Self {
        setpoint: TemperatureRange { least: f64::NEG_INFINITY, greatest: f64::INFINITY },
        chilled_water: TemperatureRange { least: f64::NEG_INFINITY, greatest: f64::INFINITY },
        largest_step: f64::INFINITY,
        unreadable: false,
        unknown: false,
    };

    fn read(hard: &Map<String, Value>) -> Self {
        let mut read = Self::NONE;
        for (name, value) in hard {
            let bound = match name.as_str() {
                "no_control_actions" => continue,
                "min_cooling_setpoint_c" => &mut read.setpoint.least,
                "max_cooling_setpoint_c" => &mut read.setpoint.greatest,
                "min_chilled_water_temp_c" => &mut read.chilled_water.least,
                "max_chilled_water_temp_c" => &mut read.chilled_water.greatest,
                "max_setpoint_step_c" => &mut read.largest_step,
                _ => {
                    read.unknown = true;
                    continue;
                }
            };
            match value.as_f64() {
                Some(number) => *bound = number,
                None => read.unreadable = true,
            }
        }
        read
    }
}

fn shaped<T: DeserializeOwned>(document: Map<String, Value>) -> Result<T, RequestError> {
    serde_path_to_error::deserialize(Value::Object(document)).map_err(|error| {
        let path = error.path().to_string();
        unworkable(&format!("the document at {path}: {}", error.inner()))
    })
}

fn name(member: &str, name: String) -> Result<String, RequestError> {
    let is_name = !name.is_empty() && name.chars().take(NAME_CHARACTERS + 1).count() <= NAME_CHARACTERS;
    is_name.then_some(name).ok_or_else(|| unworkable(&format!("{member}: expected 1 to {NAME_CHARACTERS} characters")))
}

fn within(member: &str, number: f64, range: RangeInclusive<f64>) -> Result<f64, RequestError> {
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, greatest) = range.into_inner();
    Err(unworkable(&format!("{member}: expected a number from {least} to {greatest}, found {number}")))
}

fn unworkable(why: &str) -> RequestError {
    RequestError::unworkable(why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_known_constraints() {
        let hard = json!({
            "no_control_actions": true, "min_cooling_setpoint_c": 19, "max_cooling_setpoint_c": 24.5,
            "min_chilled_water_temp_c": 7, "max_chilled_water_temp_c": 12, "max_setpoint_step_c": 0.5,
        });
        let expected = Constraints {
            setpoint: TemperatureRange { least: 19.0, greatest: 24.5 },
            chilled_water: TemperatureRange { least: 7.0, greatest: 12.0 },
            largest_step: 0.5,
            unreadable: false,
            unknown: false,
        };
        assert_eq!(Constraints::read(hard.as_object().unwrap()), expected);
    }

    #[test]
    fn tells_unreadable_from_unknown_constraints() {
        let read = |hard: Value| Constraints::read(hard.as_object().unwrap());
        let unreadable = read(json!({"max_cooling_setpoint_c": "24"}));
        assert_eq!(unreadable, Constraints { unreadable: true, ..Constraints::NONE });
        let unknown = read(json!({"max_noise_db": 80}));
        assert_eq!(unknown, Constraints { unknown: true, ..Constraints::NONE });
    }

    #[test]
    fn checks_the_values_that_it_uses() {
        let refused = |contract: &str, document: Value| {
            let Value::Object(document) = document else { panic!("no object") };
            Signals::read(contract, document).unwrap_err().to_string()
        };
        let device = |id: &str, celsius: f64| json!({"device": {"id": id, "type": "rack"}, "metrics": {"temperature_celsius": celsius}});
        assert!(refused("device/1.1", json!({})).contains("device"));
        assert!(refused("device/1.1", device("", 20.0)).contains("device.id"));
        assert!(refused("device/1.1", device(&"x".repeat(129), 20.0)).contains("device.id"));
        assert!(refused("device/1.1", device("rack-1", 151.0)).contains("temperature_celsius"));
        assert!(refused("device/2.0", device("", 20.0)).contains("device.id"));
        assert!(refused("device/2.0", device("rack-1", 201.0)).contains("temperature_celsius"));
        assert!(refused("device/3.0", device("rack-1", 20.0)).contains("contract"));
    }

    #[test]
    fn reads_the_temperature_of_an_open_set_of_metrics_if_there_is_one() {
        let read = |device: Value, metrics: Value| {
            let Value::Object(document) = json!({"device": device, "metrics": metrics}) else { panic!("no object") };
            Signals::read("device/2.0", document).unwrap()
        };
        let reading = |device_type: &str| DeviceReading {
            device: "rack-1".to_owned(),
            device_type: device_type.to_owned(),
            celsius: 20.5,
        };
        let metrics = json!({"temperature_celsius": 20.5, "power_kw": null, "any": 1});
        let with_type = read(json!({"id": "rack-1", "type": "rack"}), metrics.clone());
        assert!(matches!(with_type, Signals::Device(found) if found == reading("rack")));
        let without_type = read(json!({"id": "rack-1", "site_id": "s"}), metrics);
        assert!(matches!(without_type, Signals::Device(found) if found == reading("")));
        for metrics in [json!({"power_kw": 3}), json!({"temperature_celsius": null})] {
            assert!(matches!(read(json!({"id": "rack-1"}), metrics), Signals::Free));
        }
    }
}

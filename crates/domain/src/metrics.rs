//! The known metrics: names that have one quantity, one unit and one range wherever they occur.
//!
//! [`METRICS`] drives the checks and the schema of `device/2.0`, docs/metrics.md, and calculations over stored readings.

/// The way in which values of a metric combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A state, such as a temperature: has a mean over time, and no sum over devices.
    Gauge,
    /// A power: has a mean over time, a sum over devices, and an integral over time that is an energy.
    Power,
    /// A running total, such as a meter's energy: the difference of two values is the consumption between them.
    Counter,
}

impl MetricKind {
    /// Returns the name of the kind in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Power => "power",
            Self::Counter => "counter",
        }
    }
}

/// A known metric.
#[derive(Debug)]
pub struct Metric {
    /// The name, which ends in the unit.
    pub name: &'static str,
    /// The meaning, as a noun phrase.
    pub quantity: &'static str,
    /// The symbol of the unit; `1` for a quantity of dimension one.
    pub unit: &'static str,
    /// The least possible value.
    pub least: f64,
    /// The greatest possible value.
    pub greatest: f64,
    /// The way in which values combine.
    pub kind: MetricKind,
    /// The reason for the bounds.
    pub source: &'static str,
}

const fn gauge(
    name: &'static str,
    quantity: &'static str,
    unit: &'static str,
    bounds: (f64, f64),
    source: &'static str,
) -> Metric {
    Metric { name, quantity, unit, least: bounds.0, greatest: bounds.1, kind: MetricKind::Gauge, source }
}

const fn power(name: &'static str, quantity: &'static str, least: f64) -> Metric {
    Metric { name, quantity, unit: "kW", least, greatest: GIGAWATT, kind: MetricKind::Power, source: CAMPUS }
}

const fn counter(
    name: &'static str,
    quantity: &'static str,
    unit: &'static str,
    greatest: f64,
    source: &'static str,
) -> Metric {
    Metric { name, quantity, unit, least: 0.0, greatest, kind: MetricKind::Counter, source }
}

/// The bounds of every temperature, in °C.
const CELSIUS: (f64, f64) = (-100.0, 200.0);
const PERCENT: (f64, f64) = (0.0, 100.0);
const GIGAWATT: f64 = 1e6;

const THERMOMETERS: &str =
    "below the lowest air temperature on record (−89.2 °C, WMO), up to what sensors in industry stand";
const CAMPUS: &str = "1 GW, the largest planned campuses; negative where a site may feed power back";
const DEFINITION: &str = "definition";

/// All known metrics, in the order of the documentation.
pub const METRICS: &[Metric] = &[
    gauge("temperature_celsius", "temperature of the air", "°C", CELSIUS, THERMOMETERS),
    gauge("humidity_percent", "relative humidity of the air", "%", PERCENT, DEFINITION),
    gauge(
        "pressure_hpa",
        "pressure of the air",
        "hPa",
        (300.0, 1100.0),
        "the summit of Mount Everest (about 330 hPa) to above the highest on record (1083.8 hPa, WMO)",
    ),
    gauge(
        "dew_point_celsius",
        "dew point of the air",
        "°C",
        (-100.0, 100.0),
        "the driest air of a compressed-air dryer (about −100 °C) to saturated steam at sea level",
    ),
    gauge(
        "wet_bulb_celsius",
        "wet-bulb temperature of the air",
        "°C",
        (-100.0, 100.0),
        "as the dew point, which it never falls below",
    ),
    gauge("inlet_temperature_celsius", "temperature of the air that enters equipment", "°C", CELSIUS, THERMOMETERS),
    gauge("outlet_temperature_celsius", "temperature of the air that leaves equipment", "°C", CELSIUS, THERMOMETERS),
    gauge(
        "supply_temperature_celsius",
        "temperature of the air or water that a cooling unit delivers",
        "°C",
        CELSIUS,
        THERMOMETERS,
    ),
    gauge(
        "return_temperature_celsius",
        "temperature of the air or water that comes back to a cooling unit",
        "°C",
        CELSIUS,
        THERMOMETERS,
    ),
    gauge(
        "differential_pressure_pa",
        "difference of pressure, such as between two aisles",
        "Pa",
        (-1e6, 1e6),
        "10 bar, above what pumps and filters of cooling plants have",
    ),
    gauge("co2_ppm", "carbon dioxide in the air, by volume", "ppm", (0.0, 1e6), DEFINITION),
    power("power_kw", "active power of the device", -GIGAWATT),
    power("it_power_kw", "active power of the IT equipment", 0.0),
    power("ups_loss_kw", "power that the UPS loses as heat", 0.0),
    power("hvac_power_kw", "active power of heating, ventilation and cooling", 0.0),
    power("facility_power_kw", "active power of the whole facility", -GIGAWATT),
    power("cooling_power_kw", "heat that a cooling unit removes per time", 0.0),
    counter(
        "energy_kwh",
        "active energy that a meter has counted",
        "kWh",
        1e12,
        "a 1 GW campus for a hundred thousand years",
    ),
    gauge("apparent_power_kva", "apparent power", "kVA", (0.0, GIGAWATT), CAMPUS),
    gauge("reactive_power_kvar", "reactive power", "kvar", (-GIGAWATT, GIGAWATT), CAMPUS),
    gauge(
        "voltage_v",
        "voltage",
        "V",
        (-1.2e6, 1.2e6),
        "the highest voltage for equipment (1200 kV, IEC 60038); negative in direct-current plants",
    ),
    gauge("current_a", "current", "A", (-2e5, 2e5), "above the rated short-circuit currents of switchgear (IEC 62271)"),
    gauge("power_factor", "power factor", "1", (-1.0, 1.0), DEFINITION),
    gauge(
        "frequency_hz",
        "frequency of the supply",
        "Hz",
        (0.0, 1000.0),
        "above the 400 Hz of aircraft and some UPS supplies",
    ),
    gauge(
        "pue",
        "power usage effectiveness",
        "1",
        (1.0, 1000.0),
        "at least 1 by definition (ISO/IEC 30134-2); very high while the IT load is small",
    ),
    gauge(
        "ups_load_percent",
        "load of the UPS, as a share of its rating",
        "%",
        (0.0, 200.0),
        "overload, which a UPS bears for seconds",
    ),
    gauge("battery_charge_percent", "charge of the battery", "%", PERCENT, DEFINITION),
    gauge("fan_speed_percent", "speed of a fan, as a share of its maximum", "%", PERCENT, DEFINITION),
    gauge("fan_speed_rpm", "speed of a fan", "1/min", (0.0, 1e5), "above the fans of servers (about 30,000/min)"),
    gauge(
        "flow_m3h",
        "volume of water per time",
        "m³/h",
        (-1e5, 1e5),
        "several times the cooling water of a 1 GW campus; negative backwards",
    ),
    gauge(
        "airflow_m3h",
        "volume of air per time",
        "m³/h",
        (-1e8, 1e8),
        "several times the air of a 1 GW campus; negative backwards",
    ),
    counter("water_m3", "volume of water that a meter has counted", "m³", 1e10, "a river of 100 m³/s for three years"),
];

/// Endings of names by unit: that of the known name, and those of other units or spellings.
const ENDINGS: &[(&str, &[&str])] = &[
    ("celsius", &["fahrenheit", "kelvin", "c", "f", "k", "degc", "degf"]),
    ("percent", &["pct", "fraction", "ratio"]),
    ("hpa", &["pa", "kpa", "mpa", "bar", "mbar", "psi", "inhg", "mmhg", "atm"]),
    ("pa", &["hpa", "kpa", "mbar", "inwc", "psi"]),
    ("ppm", &["ppb", "percent"]),
    ("kw", &["w", "mw", "gw", "hp", "btuh", "tons"]),
    ("kwh", &["wh", "mwh", "gwh", "j", "kj", "mj", "gj", "btu"]),
    ("kva", &["va", "mva"]),
    ("kvar", &["var", "mvar"]),
    ("v", &["mv", "kv", "volts"]),
    ("a", &["ma", "ka", "amps"]),
    ("hz", &["khz", "mhz"]),
    ("m3h", &["lps", "lpm", "lph", "gpm", "cfm", "m3s"]),
    ("m3", &["l", "litres", "liters", "gal", "gallons", "ft3"]),
];

/// The most characters of the name of a metric.
const LONGEST_NAME: usize = 64;

/// Returns whether a text is the name of a metric, known or not.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let goes_on = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    begins && goes_on && text.len() <= LONGEST_NAME
}

/// Finds a known metric by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Finds the known metric of the quantity that an unknown name has in another unit, or under another ending:
/// `temperature_fahrenheit` is `temperature_celsius`. Returns `None` for known names.
#[must_use]
pub fn in_other_unit(name: &str) -> Option<&'static Metric> {
    let (stem, ending) = name.rsplit_once('_')?;
    let metric = METRICS.iter().find(|metric| {
        let known = metric.name.rsplit_once('_').filter(|(known, _)| *known == stem);
        let others = known.and_then(|(_, unit)| ENDINGS.iter().find(|(known, _)| *known == unit));
        others.is_some_and(|(_, others)| others.contains(&ending))
    })?;
    find(name).is_none().then_some(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bounds_are_ordered() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert!(METRICS[..at].iter().all(|other| other.name != metric.name), "{}", metric.name);
            assert!(metric.least < metric.greatest, "{}", metric.name);
            assert!(!metric.quantity.is_empty() && !metric.unit.is_empty() && !metric.source.is_empty());
        }
    }

    #[test]
    fn finds_the_known_metric_of_a_name_in_another_unit() {
        for (name, known) in [
            ("temperature_fahrenheit", Some("temperature_celsius")),
            ("supply_temperature_f", Some("supply_temperature_celsius")),
            ("power_w", Some("power_kw")),
            ("it_power_mw", Some("it_power_kw")),
            ("pressure_psi", Some("pressure_hpa")),
            ("energy_wh", Some("energy_kwh")),
            ("humidity_fraction", Some("humidity_percent")),
            ("flow_gpm", Some("flow_m3h")),
            ("water_l", Some("water_m3")),
            ("temperature_celsius", None),
            ("fan_speed_rpm", None),
            ("temperature", None),
            ("temperature_x", None),
            ("rack_temperature_fahrenheit", None),
            ("power_factor", None),
            ("pue", None),
            ("", None),
            ("_w", None),
        ] {
            assert_eq!(in_other_unit(name).map(|metric| metric.name), known, "{name}");
        }
    }

    #[test]
    fn every_ending_belongs_to_a_known_metric() {
        for (unit, others) in ENDINGS {
            let used = METRICS.iter().any(|metric| metric.name.rsplit('_').next() == Some(unit));
            assert!(used && !others.contains(unit), "{unit}");
        }
    }
}

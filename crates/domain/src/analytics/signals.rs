//! The metrics of sites that no device reports, beside those of [`crate::metrics`].

use crate::metrics::{self, MetricKind};

/// A metric of a site.
#[derive(Debug)]
pub struct Signal {
    /// The name, which ends in the unit.
    pub name: &'static str,
    /// The place in `enterprise/1.1`, as a JSON pointer; `None` if no member has it: devices report it, as a name of their
    /// own, or it is computed.
    pub pointer: Option<&'static str>,
    /// The meaning, as a noun phrase.
    pub quantity: &'static str,
    /// The symbol of the unit; `1` for a quantity of dimension one.
    pub unit: &'static str,
    /// The way in which values combine.
    pub kind: MetricKind,
}

const fn signal(
    name: &'static str,
    pointer: &'static str,
    quantity: &'static str,
    unit: &'static str,
    kind: MetricKind,
) -> Signal {
    Signal { name, pointer: Some(pointer), quantity, unit, kind }
}

const fn reported(name: &'static str, quantity: &'static str, unit: &'static str, kind: MetricKind) -> Signal {
    Signal { name, pointer: None, quantity, unit, kind }
}

/// The product of [`FACILITY_POWER`] and [`ENERGY_PRICE`] in reports of a site, whose integral is the cost.
pub const COST_RATE: &str = "energy_cost_usd_per_hour";

/// The power of the whole facility.
pub const FACILITY_POWER: &str = "facility_power_kw";

/// The price of energy.
pub const ENERGY_PRICE: &str = "energy_price_usd_per_kwh";

/// All metrics of sites. `it_power_kw`, `facility_power_kw` and `pue` are known metrics of devices, too.
pub const SIGNALS: &[Signal] = &[
    signal(
        "it_power_kw",
        "/request/signals/energy/it_load_kw",
        "active power of the IT equipment",
        "kW",
        MetricKind::Power,
    ),
    signal(
        FACILITY_POWER,
        "/request/signals/energy/facility_power_kw",
        "active power of the whole facility",
        "kW",
        MetricKind::Power,
    ),
    signal(
        ENERGY_PRICE,
        "/request/signals/energy/energy_price_usd_per_kwh",
        "price of energy",
        "USD/kWh",
        MetricKind::Gauge,
    ),
    signal(
        "ups_efficiency_percent",
        "/request/signals/energy/ups_efficiency_pct",
        "efficiency of the UPS",
        "%",
        MetricKind::Gauge,
    ),
    signal("pue", "/request/signals/thermal/pue_current", "power usage effectiveness", "1", MetricKind::Gauge),
    signal(
        "pue_target",
        "/request/signals/thermal/pue_target",
        "target of the power usage effectiveness",
        "1",
        MetricKind::Gauge,
    ),
    signal(
        "cooling_cop",
        "/request/signals/thermal/cooling_cop",
        "coefficient of performance of the cooling",
        "1",
        MetricKind::Gauge,
    ),
    signal(
        "hotspot_racks",
        "/request/signals/thermal/hotspot_rack_count",
        "number of racks that are too hot",
        "1",
        MetricKind::Gauge,
    ),
    signal(
        "chilled_water_celsius",
        "/request/signals/cooling/chilled_water_temp_c",
        "temperature of the chilled water",
        "°C",
        MetricKind::Gauge,
    ),
    signal(
        "cooling_setpoint_celsius",
        "/request/signals/cooling/cooling_setpoint_c",
        "set-point of the cooling",
        "°C",
        MetricKind::Gauge,
    ),
    signal("active_users", "/request/signals/workload/active_users", "number of active users", "1", MetricKind::Gauge),
    signal(
        "tokens_per_watt",
        "/request/signals/workload/tokens_per_watt_est",
        "estimate of the tokens produced per watt",
        "1/W",
        MetricKind::Gauge,
    ),
    // A document has power and price of the same window, so that their product is a power of its own: cost an hour.
    reported(COST_RATE, "cost of the facility's energy", "USD/h", MetricKind::Power),
    reported("carbon_intensity_g_per_kwh", "carbon intensity of the supply", "g/kWh", MetricKind::Gauge),
    reported("reused_power_kw", "heat that is reused outside of the facility", "kW", MetricKind::Power),
    reported("reused_energy_kwh", "heat that a meter has counted as reused", "kWh", MetricKind::Counter),
];

/// Returns the way in which values of a metric combine. Unknown metrics are gauges.
#[must_use]
pub fn kind_of(metric: &str) -> MetricKind {
    let signal = || SIGNALS.iter().find(|signal| signal.name == metric).map(|signal| signal.kind);
    metrics::find(metric).map(|known| known.kind).or_else(signal).unwrap_or(MetricKind::Gauge)
}

/// Returns the symbol of a metric's unit; `None` for unknown metrics.
#[must_use]
pub fn unit_of(metric: &str) -> Option<&'static str> {
    let signal = || SIGNALS.iter().find(|signal| signal.name == metric).map(|signal| signal.unit);
    metrics::find(metric).map(|known| known.unit).or_else(signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts;
    use crate::tenancy::TenantId;

    #[test]
    fn a_signal_that_is_a_known_metric_has_its_unit_and_kind() {
        for signal in SIGNALS {
            if let Some(known) = metrics::find(signal.name) {
                assert_eq!((known.unit, known.kind), (signal.unit, signal.kind), "{}", signal.name);
            }
        }
        assert_eq!((kind_of("outlets_on"), unit_of("outlets_on")), (MetricKind::Gauge, None));
        assert_eq!((kind_of("reused_energy_kwh"), unit_of("energy_kwh")), (MetricKind::Counter, Some("kWh")));
    }

    #[test]
    fn every_place_of_a_signal_is_a_number_in_the_example_of_the_contract() {
        let contract = contracts::find("enterprise", "1.1").unwrap();
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        let example = contract.example(&TenantId::parse("pilot").unwrap(), now);
        for pointer in SIGNALS.iter().filter_map(|signal| signal.pointer) {
            assert!(example.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}");
        }
    }
}

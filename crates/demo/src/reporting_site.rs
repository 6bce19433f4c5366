//! A site that sends reports of its own, and asks the engine about some of them.

use serde_json::json;

use crate::noise::{at, smooth};
use crate::{Document, Timeline, instant, real, rounded};

/// The site.
pub const REPORTING_SITE: &str = "tampa-1";

/// The hours that it has reported for.
const HOURS: i64 = 30 * 24;

/// The hours between two questions to the engine.
const QUESTION_HOURS: i64 = 12;

pub(crate) fn documents(seed: u64, tenant: &str, timeline: &Timeline, hour: i64) -> Option<Document> {
    if hour <= timeline.end - HOURS {
        return None;
    }
    let daily = (real(hour.rem_euclid(24)) * std::f64::consts::PI / 12.0 - 4.0).sin();
    let it = rounded(810.0 + 60.0 * daily + 25.0 * smooth(seed, "hall load", hour, 26), 0);
    let pue = 1.37 + 0.05 * daily + 0.03 * smooth(seed, "hall cooling", hour, 40) + 0.004 * at(seed, "hall", hour);
    let facility = rounded(it * pue, 0);
    let id = format!("hall-2-{}", instant(hour));
    let json = json!({
        "schema_version": "1.1",
        "correlation_id": "demo",
        "trace": {"traceparent": format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", hour)},
        "request": {
            "request_id": id, "idempotency_key": id, "tenant_id": tenant, "environment": "dev", "mode": "shadow",
            "timestamp_utc": instant(hour),
            "time_window": {"start_utc": instant(hour - 1), "end_utc": instant(hour), "granularity_seconds": 300},
            "timeout_ms": 10_000, "service_level_objective_ms": 2_000,
            "assets": {"site_id": REPORTING_SITE, "hall_id": "hall-2"},
            "data_contract": {"units": "metric", "currency": "USD", "data_classification": "INTERNAL"},
            "signals": {
                "energy": {
                    "it_load_kw": it, "facility_power_kw": facility,
                    "energy_price_usd_per_kwh": 0.11, "ups_efficiency_pct": 95.5,
                },
                "thermal": {
                    "pue_current": rounded(facility / it, 3), "pue_target": 1.25,
                    "cooling_cop": rounded(4.2 - 0.4 * daily, 1), "hotspot_rack_count": 0,
                },
                "cooling": {"chilled_water_temp_c": 8.5, "cooling_setpoint_c": 22},
                "workload": {
                    "active_users": rounded(1200.0 + 500.0 * daily, 0), "tokens_per_watt_est": 3.8,
                    "job_mix": {"llm_pct": 70, "vision_pct": 20, "other_pct": 10},
                },
            },
            "constraints": {"hard": {"no_control_actions": true, "max_cooling_setpoint_c": 24}},
            "preferences": {"optimise_for": "energy"},
        },
    });
    Some(Document { json, asks_engine: hour % QUESTION_HOURS == 0 })
}

//! `enterprise/1.1`: a site's full signal set with tracing, tenancy and guardrails.

use serde_json::json;

use super::rules::{
    Boolean, Characters, Check, Choice, ClosedObject, ContractVersion, DocumentView, Field, Formatted, FreeObject,
    Least, ListOf, OpenObject, Quantity, Text, Time, UpperCased, optional, required,
};
use super::{Contract, ContractId, Marker, Sources};
use crate::json::MAX_SAFE;
use crate::tenancy::TenantId;
use crate::trace::TraceParent;
use crate::validation::{Code, WarningCode};

/// The contract's id.
pub const ID: ContractId = ContractId { name: "enterprise", version: "1.1" };

const MARKER: &str = "schema_version";
const REQUEST_ID: &str = "/request/request_id";
const TIMESTAMP: &str = "/request/timestamp_utc";
const WINDOW_START: &str = "/request/time_window/start_utc";
const WINDOW_END: &str = "/request/time_window/end_utc";
const GRANULARITY: &str = "/request/time_window/granularity_seconds";
const OBJECTIVE: &str = "/request/service_level_objective_ms";
const IT_LOAD: &str = "/request/signals/energy/it_load_kw";
const FACILITY_POWER: &str = "/request/signals/energy/facility_power_kw";
const PUE: &str = "/request/signals/thermal/pue_current";
const JOB_MIX: &str = "/request/signals/workload/job_mix";
const NO_CONTROL_ACTIONS: &str = "/request/constraints/hard/no_control_actions";

/// Maximum length of the time window, in microseconds.
const LONGEST_WINDOW: i64 = 366 * 86_400 * 1_000_000;

/// Tolerance for sums of figures that the sender rounded, to absorb the rounding error of doubles.
const ROUNDING: f64 = 1e-9;

pub(super) static CONTRACT: Contract = Contract {
    id: ID,
    summary: "A site's full signal set with tracing, tenancy and guardrails.",
    marker: Marker::Version(MARKER),
    max_bytes: None,
    body: &ClosedObject(BODY),
    coherence: COHERENCE,
    advice: ADVICE,
    further_advice: None,
    sources: Sources {
        site_id: Some("/request/assets/site_id"),
        observed_at: Some(TIMESTAMP),
        correlation_id: Some("/correlation_id"),
        natural_key: &[REQUEST_ID],
        idempotency_key: Some("/request/idempotency_key"),
        tenant: Some("/request/tenant_id"),
        ..Sources::NONE
    },
    example: |tenant, now| {
        let ago = |seconds: i64| now.plus_seconds(-seconds).unwrap_or(now).to_string();
        json!({
            "schema_version": ID.version,
            "correlation_id": "pilot-2026-01",
            "trace": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
            "request": {
                "request_id": format!("hall-2-{now}"),
                "idempotency_key": format!("hall-2-{now}"),
                "tenant_id": tenant.as_str(),
                "environment": "dev",
                "mode": "shadow",
                "timestamp_utc": now.to_string(),
                "time_window": {"start_utc": ago(3_600), "end_utc": ago(0), "granularity_seconds": 300},
                "timeout_ms": 10_000,
                "service_level_objective_ms": 2_000,
                "assets": {"site_id": "tampa-1", "hall_id": "hall-2", "rack_ids": ["rack-07", "rack-08"]},
                "data_contract": {"units": "metric", "currency": "USD", "data_classification": "INTERNAL"},
                "signals": {
                    "energy": {
                        "it_load_kw": 800,
                        "facility_power_kw": 1120,
                        "energy_price_usd_per_kwh": 0.11,
                        "ups_efficiency_pct": 95.5,
                    },
                    "thermal": {"pue_current": 1.4, "pue_target": 1.25, "cooling_cop": 4.2, "hotspot_rack_count": 2},
                    "cooling": {"chilled_water_temp_c": 8.5, "cooling_setpoint_c": 22},
                    "workload": {
                        "active_users": 1200,
                        "tokens_per_watt_est": 3.8,
                        "job_mix": {"llm_pct": 70, "vision_pct": 20, "other_pct": 10},
                    },
                },
                "constraints": {"hard": {"no_control_actions": true}},
                "preferences": {"optimise_for": "energy"},
            },
        })
    },
};

const NOT_NEGATIVE: Quantity = Quantity::between(0.0, MAX_SAFE);
const COUNT: Quantity = Quantity::whole(0.0, MAX_SAFE);
const PERCENT: Quantity = Quantity::between(0.0, 100.0);
const PUE_RANGE: Quantity = Quantity::between(1.0, 5.0);
const WATER_CELSIUS: Quantity = Quantity::between(-10.0, 60.0);
const MILLISECONDS: Quantity = Quantity::whole(1.0, 60_000.0);

const TRACEPARENT: Formatted = Formatted {
    code: Code::Format,
    form: "a W3C traceparent of version 00, ids not all zero",
    parses: |text| text.parse::<TraceParent>().is_ok(),
    pattern: "00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",
};

const TENANT: Formatted = Formatted {
    code: Code::Pattern,
    form: "a tenant's slug: 1–63 characters of a-z, 0-9 and hyphen, no hyphen at either end",
    parses: |text| TenantId::parse(text).is_ok(),
    pattern: "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
};

static BODY: &[Field] = &[
    required(MARKER, &ContractVersion { marker: MARKER, version: ID.version }, "The version of the contract."),
    required("correlation_id", &Text::NAME, "Correlates the request with the sender's records."),
    required(
        "trace",
        &ClosedObject(&[required("traceparent", &TRACEPARENT, "The sender's span (W3C Trace Context).")]),
        "Distributed tracing.",
    ),
    required("request", &ClosedObject(REQUEST), "The report, and the requirements for an answer."),
    optional(
        "payload",
        &FreeObject { may_be_empty: true },
        "Any further data, normalised like a payload of simple/1.0.",
    ),
];

static REQUEST: &[Field] = &[
    required("request_id", &Text::NAME, "Identifies the request within the tenant."),
    required(
        "idempotency_key",
        &Text { may_be_empty: false, max: 255, of: Characters::PrintableAscii },
        "Identifies a submission, so that a repetition has no further effect. Must equal the Idempotency-Key header if both are sent.",
    ),
    required("tenant_id", &TENANT, "The sender's tenant."),
    required("environment", &Choice(&["dev", "staging", "prod"]), "The environment of the sender's system."),
    required("mode", &Choice(&["shadow"]), "The mode of operation. This version has only shadow, which is read-only."),
    required("timestamp_utc", &Time::Reported, "The time of the report."),
    required(
        "time_window",
        &ClosedObject(&[
            required("start_utc", &Time::Any, "The start of the window."),
            required("end_utc", &Time::Any, "The end of the window."),
            required(
                "granularity_seconds",
                &Quantity::whole(1.0, 86_400.0),
                "The interval between two samples, in seconds.",
            ),
        ]),
        "The time that the signals describe.",
    ),
    required("timeout_ms", &MILLISECONDS, "The time for which the sender waits for an answer, in milliseconds."),
    required("service_level_objective_ms", &MILLISECONDS, "The target response time, in milliseconds."),
    required(
        "assets",
        &OpenObject(&[
            required("site_id", &Text::NAME, "The site."),
            optional("cluster_id", &Text::NAME, "A cluster of the site."),
            optional("hall_id", &Text::NAME, "A hall of the site."),
            optional("rack_ids", &ListOf(&Text::NAME), "Racks of the site."),
        ]),
        "The assets that the signals describe.",
    ),
    required(
        "data_contract",
        &ClosedObject(&[
            required("units", &Choice(&["metric"]), "The system of units."),
            required("currency", &Choice(&["USD", "EUR"]), "The currency of the sender's reports."),
            required("data_classification", &UpperCased("INTERNAL"), "The confidentiality of the data."),
        ]),
        "Units and classification of the data.",
    ),
    required("signals", &ClosedObject(SIGNALS), "The telemetry."),
    required(
        "constraints",
        &OpenObject(&[required(
            "hard",
            &OpenObject(&[required("no_control_actions", &Boolean, "True if MASS must not control the site.")]),
            "Limits that every recommendation must keep.",
        )]),
        "Limits for recommendations.",
    ),
    optional("preferences", &OpenObject(&[]), "Preferences for recommendations, stored unchanged."),
];

static SIGNALS: &[Field] = &[
    required(
        "energy",
        &ClosedObject(&[
            required("it_load_kw", &NOT_NEGATIVE, "The power of the IT equipment in kW."),
            required("facility_power_kw", &NOT_NEGATIVE, "The power of the whole facility in kW."),
            required("energy_price_usd_per_kwh", &Quantity::between(0.0, 10.0), "The price of energy in USD per kWh."),
            optional("ups_efficiency_pct", &PERCENT, "The efficiency of the UPS in %."),
        ]),
        "Power and energy price.",
    ),
    required(
        "thermal",
        &ClosedObject(&[
            required("pue_current", &PUE_RANGE, "The power usage effectiveness: facility power ÷ IT load."),
            required("pue_target", &PUE_RANGE, "The target power usage effectiveness."),
            required(
                "cooling_cop",
                &Quantity { least: Least::Above(0.0), greatest: 30.0, whole: false },
                "The coefficient of performance of the cooling.",
            ),
            optional("hotspot_rack_count", &COUNT, "The number of racks that are too hot."),
        ]),
        "Heat.",
    ),
    required(
        "cooling",
        &ClosedObject(&[
            required("chilled_water_temp_c", &WATER_CELSIUS, "The temperature of the chilled water in °C."),
            required("cooling_setpoint_c", &WATER_CELSIUS, "The setpoint of the cooling in °C."),
        ]),
        "The cooling plant.",
    ),
    required(
        "workload",
        &ClosedObject(&[
            required("active_users", &COUNT, "The number of active users."),
            required("tokens_per_watt_est", &NOT_NEGATIVE, "An estimate of the tokens produced per watt."),
            required(
                "job_mix",
                &ClosedObject(&[
                    required("llm_pct", &PERCENT, "The share of language models in %."),
                    required("vision_pct", &PERCENT, "The share of vision models in %."),
                    required("other_pct", &PERCENT, "The share of everything else in %."),
                ]),
                "The shares of the kinds of job.",
            ),
        ]),
        "The workload of the equipment.",
    ),
];

static COHERENCE: &[Check<Code>] = &[
    Check {
        code: Code::WindowOrder,
        pointer: WINDOW_END,
        about: "The time window must end after it starts.",
        finding: |view| {
            let (start, end) = window(view)?;
            if end <= start { view.text(WINDOW_END).map(str::to_owned) } else { None }
        },
    },
    Check {
        code: Code::WindowLength,
        pointer: WINDOW_END,
        about: "The time window must not be longer than 366 days.",
        finding: |view| {
            let (start, end) = window(view)?;
            (end - start > LONGEST_WINDOW).then(|| format!("{} seconds", seconds(end - start)))
        },
    },
    Check {
        code: Code::WindowFuture,
        pointer: WINDOW_END,
        about: "The time window must not end more than 5 minutes after \"timestamp_utc\".",
        finding: |view| {
            let end = view.time(WINDOW_END)?;
            let latest = view.time(TIMESTAMP)?.plus_seconds(Time::CLOCK_ERROR)?;
            (end > latest).then(|| end.to_string())
        },
    },
    Check {
        code: Code::Granularity,
        pointer: GRANULARITY,
        about: "The granularity must not be longer than the time window.",
        finding: |view| {
            let (start, end) = window(view)?;
            let granularity = view.number(GRANULARITY)?;
            (end > start && granularity > seconds(end - start)).then(|| format!("{granularity} seconds"))
        },
    },
    Check {
        code: Code::ObjectiveTimeout,
        pointer: OBJECTIVE,
        about: "The service level objective must not be longer than \"timeout_ms\".",
        finding: |view| {
            let objective = view.number(OBJECTIVE)?;
            (objective > view.number("/request/timeout_ms")?).then(|| format!("{objective} ms"))
        },
    },
    Check {
        code: Code::FacilityPower,
        pointer: FACILITY_POWER,
        about: "The facility must draw at least the power of its IT load.",
        finding: |view| {
            let facility = view.number(FACILITY_POWER)?;
            (facility < view.number(IT_LOAD)?).then(|| format!("{facility} kW"))
        },
    },
    Check {
        code: Code::JobMixSum,
        pointer: JOB_MIX,
        about: "The shares of the job mix must add up to 100 ± 0.5.",
        finding: |view| {
            let share = |name: &str| view.number(&format!("{JOB_MIX}/{name}"));
            let sum = share("llm_pct")? + share("vision_pct")? + share("other_pct")?;
            ((sum - 100.0).abs() > 0.5 + ROUNDING).then(|| sum.to_string())
        },
    },
    Check {
        code: Code::ControlActions,
        pointer: NO_CONTROL_ACTIONS,
        about: "In shadow mode \"no_control_actions\" must be true.",
        finding: |view| {
            let shadow = view.text("/request/mode")? == "shadow";
            (shadow && !view.flag(NO_CONTROL_ACTIONS)?).then(|| "false".to_owned())
        },
    },
    Check {
        code: Code::ObjectiveInProduction,
        pointer: OBJECTIVE,
        about: "In production the service level objective must be at most 5000 ms.",
        finding: |view| {
            let production = view.text("/request/environment")? == "prod";
            let objective = view.number(OBJECTIVE)?;
            (production && objective > 5_000.0).then(|| format!("{objective} ms"))
        },
    },
];

static ADVICE: &[Check<WarningCode>] = &[
    Check {
        code: WarningCode::PueMismatch,
        pointer: PUE,
        about: "The PUE should be within 2 % of facility power ÷ IT load.",
        finding: |view| {
            let (given, it_load) = (view.number(PUE)?, view.number(IT_LOAD)?);
            let computed = view.number(FACILITY_POWER)? / it_load;
            let apart = (given - computed).abs() > (0.02 + ROUNDING) * computed;
            (it_load > 0.0 && apart).then(|| format!("{given} instead of {computed:.3}"))
        },
    },
    Check {
        code: WarningCode::PueUnchecked,
        pointer: PUE,
        about: "With an IT load of 0 the PUE cannot be compared with the powers.",
        finding: |view| {
            let given = view.number(PUE)?;
            (view.number(IT_LOAD)? == 0.0).then(|| given.to_string())
        },
    },
    super::old_timestamp(TIMESTAMP, |view| super::age_if_old(view, TIMESTAMP)),
];

/// Returns the start and the end of the time window, in microseconds.
fn window(view: &DocumentView<'_>) -> Option<(i64, i64)> {
    Some((view.time(WINDOW_START)?.unix_micros(), view.time(WINDOW_END)?.unix_micros()))
}

#[expect(clippy::cast_precision_loss, reason = "the calendar ends long before 2^53 microseconds' worth of seconds")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

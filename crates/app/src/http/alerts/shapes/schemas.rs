//! The schemas of the parts of rules and alerts, whose types are the domain's.

use mass_domain::alerts::{ConditionKind, Resolution, Severity};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

pub(super) fn terms_example() -> Value {
    json!({
        "condition": {
            "kind": "metric_out_of_range", "metric": "inlet_temperature_celsius", "site_id": "tampa-1", "device_id": null,
            "min": 18.0, "max": 27.0, "hysteresis": 0.5, "max_age_seconds": 3600,
        },
        "description": "Too warm or too cold for class A1.", "enabled": true, "severity": "critical", "for_seconds": 300,
        "repeat_seconds": 14_400, "webhooks": [],
    })
}

pub(super) fn rule_example() -> Value {
    let actor = json!({"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000003"});
    json!({
        "name": "hall-2-too-hot",
        "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "rule": terms_example(),
        "problem": null, "created_at": "2026-11-24T18:00:00.123456Z", "created_by": actor,
        "updated_at": "2026-11-24T18:00:00.123456Z", "updated_by": actor,
    })
}

pub(super) fn alert_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000005", "rule": "hall-2-too-hot", "kind": "metric_out_of_range",
        "severity": "critical", "state": "open",
        "summary": "inlet_temperature_celsius of the device crac-3 at the site tampa-1 is out of range: 28.4.",
        "subject": {
            "kind": "series", "site_id": "tampa-1", "device_id": "crac-3", "metric": "inlet_temperature_celsius", "id": null,
        },
        "value": 28.4, "since": "2026-11-24T18:00:00.123456Z", "opened_at": "2026-11-24T18:05:00.123456Z",
        "resolved_at": null, "resolution": null, "acknowledgement": null,
    })
}

fn schema(value: Value) -> Schema {
    value.try_into().unwrap_or_default()
}

pub(super) fn kind(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = ConditionKind::ALL.iter().map(|kind| kind.as_str()).collect();
    json_schema!({"type": "string", "enum": names})
}

pub(super) fn severity(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
    json_schema!({"type": "string", "enum": names})
}

pub(super) fn webhooks(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 10, "uniqueItems": true, "default": [],
        "items": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    })
}

pub(super) fn resolution(_: &mut SchemaGenerator) -> Schema {
    let names = Resolution::ALL.iter().map(|resolution| json!(resolution.as_str()));
    let names: Vec<Value> = names.chain([Value::Null]).collect();
    json_schema!({"type": ["string", "null"], "enum": names})
}

pub(super) fn subject_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": [
        "device", "series", "quarantine", "deliveries", "audit_trail", "user", "api_key", "session", "tenant",
    ]})
}

/// A condition of this kind with these members, of which the first ones have to be there.
fn one(kind: &str, description: &str, members: &[(&str, Value)], needed: usize) -> Value {
    let mut properties = serde_json::Map::new();
    properties.insert("kind".to_owned(), json!({"type": "string", "const": kind, "description": "The kind."}));
    properties.extend(members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())));
    let required: Vec<&str> = std::iter::once("kind").chain(members[..needed].iter().map(|(name, _)| *name)).collect();
    json!({
        "type": "object", "description": description, "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

fn whole(least: u32, most: u32, default: Option<u32>, description: &str) -> Value {
    let mut schema = json!({"type": "integer", "minimum": least, "maximum": most, "description": description});
    if let Some(default) = default {
        schema["default"] = json!(default);
    }
    schema
}

fn name(description: &str) -> Value {
    json!({"type": ["string", "null"], "minLength": 1, "maxLength": 200, "description": description})
}

fn number(description: &str) -> Value {
    json!({"type": ["number", "null"], "description": description})
}

pub(super) fn condition(_: &mut SchemaGenerator) -> Schema {
    const DAYS_31: u32 = 31 * 86_400;
    let site = || name("Only at this site; null for any.");
    let device = || name("Only this device; null for any.");
    let counted = |kind: &str, description: &str| {
        let count = whole(1, 100, Some(1), "The number of events of one subject.");
        let within = whole(60, 604_800, Some(3600), "The time in which they happen, in seconds.");
        one(kind, description, &[("count", count), ("within_seconds", within)], 0)
    };
    let metric = json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$", "description": "The metric."});
    let hysteresis = json!({
        "type": "number", "minimum": 0, "default": 0,
        "description": "How far within the range a value has to be until the alert is resolved; at most the width of the range.",
    });
    let age = "The age in seconds beyond which a value is no evidence: it neither opens an alert nor resolves one.";
    schema(json!({"oneOf": [
        one("device_silent", "A device has sent no reading for a while.", &[
            ("after_seconds", whole(60, DAYS_31, None, "The time since the newest reading, in seconds.")),
            ("site_id", site()),
            ("device_id", device()),
        ], 1),
        one("metric_out_of_range", "The last value of a metric is out of bounds: below `min` or above `max`.", &[
            ("metric", metric),
            ("site_id", site()),
            ("device_id", device()),
            ("min", number("The least value within the range; null for no bound.")),
            ("max", number("The greatest value within the range; null for no bound.")),
            ("hysteresis", hysteresis),
            ("max_age_seconds", whole(60, DAYS_31, Some(3600), age)),
        ], 1),
        one("quarantine_growth", "Records were put into the quarantine and are still there.", &[
            ("records", whole(1, 100_000, None, "The number of records.")),
            ("within_seconds", whole(60, 604_800, None, "The time in which they came, in seconds.")),
        ], 2),
        one("dead_letters", "Deliveries to the engine are dead letters now.", &[
            ("count", whole(1, 100_000, Some(1), "The number of deliveries.")),
        ], 0),
        one("audit_trail_broken", "The audit trail is not as it was signed.", &[], 0),
        counted("refresh_token_reused", "A refresh token was used twice, which ends its session."),
        counted("failed_logins", "Log-ins of a user failed, or proofs of its present password."),
        counted("access_refused", "A caller was refused operations that it may not call."),
        counted("throttled", "Requests of a caller or of the whole tenant were refused, because there were too many."),
        counted("access_granted", "An API key was created, or a user was created, enabled or given a role."),
    ]}))
}

//! Broken rules and warnings, as they are answered.

use mass_domain::contracts::{self, ValidationContext};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::validation as domain;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// Returns the violations of a reading whose humidity is impossible.
#[must_use]
pub fn example_violations() -> Vec<domain::Violation> {
    let tenant = TenantId::parse("default").ok();
    let instant = Timestamp::from_unix_micros(1_795_543_200_000_000);
    let Some(((tenant, now), contract)) = tenant.zip(instant).zip(contracts::find("device", "1.1")) else {
        return Vec::new();
    };
    let mut reading = contract.example(&tenant, now);
    reading["metrics"]["humidity_percent"] = json!(140);
    let Ok(reading) = mass_domain::json::parse(reading.to_string().as_bytes()) else { return Vec::new() };
    let context = ValidationContext { now, body_bytes: 0 };
    contracts::validate(&reading, &context).err().map_or_else(Vec::new, |refused| refused.violations)
}

fn example() -> Value {
    json!(example_violations().into_iter().next().map(Violation::from))
}

/// One rule that a document or parameter breaks.
#[derive(Serialize, JsonSchema)]
#[schemars(example = example())]
pub struct Violation {
    /// The stage that found it: `structural`, `contract`, `semantic` or `business`.
    pub stage: &'static str,
    /// JSON Pointer (RFC 6901) into the document; `?name` for a query parameter, `header:Name` for a header.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The expected value or form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value or form that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

impl From<domain::Violation> for Violation {
    fn from(violation: domain::Violation) -> Self {
        let domain::Violation { stage, pointer, code, detail, expected, actual } = violation;
        let stage = match stage {
            domain::Stage::Structural => "structural",
            domain::Stage::Contract => "contract",
            domain::Stage::Semantic => "semantic",
            domain::Stage::Business => "business",
        };
        Self { stage, pointer, code, detail, expected, actual }
    }
}

/// Something unlikely that does not refuse a document.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ValidationWarning")]
#[schemars(example = json!({
    "pointer": "/metrics/pressure_hpa", "code": "unusual_pressure",
    "detail": "The air pressure is unusual: outside 690 … 1085 hPa. Found: 640.",
}))]
pub struct Warning {
    /// JSON Pointer (RFC 6901) into the document.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl From<domain::Warning> for Warning {
    fn from(domain::Warning { pointer, code, detail }: domain::Warning) -> Self {
        Self { pointer, code, detail }
    }
}
